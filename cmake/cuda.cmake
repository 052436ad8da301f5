# Whether this build has CUDA kernels: PVNET_HAS_CUDA, and if not PVNET_NO_CUDA, what a user who asks
# for them reads. The runtime is linked statically, so that an import needs no driver.
set(PVNET_HAS_CUDA OFF)
set(PVNET_LEAST_CUDA 12.0)
set(pvnet_refusal "[find_backend] this build has no CUDA kernels: got")
set(pvnet_cure "build pvnet again with PVNET_CUDA=ON, or use backend=\"cpu\".")

if(PVNET_CUDA STREQUAL "OFF")
  set(PVNET_NO_CUDA "${pvnet_refusal} a build with PVNET_CUDA=OFF, expected AUTO or ON. Leave that out and ${pvnet_cure}")
elseif(PVNET_CUDA MATCHES "^(AUTO|ON)$")
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    # mma.sync and cp.async on every device from 8.0 on; newer ones than 9.0 compile the PTX.
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES 80-real 90a-real 90-virtual)
    endif()
    enable_language(CUDA)
    if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS PVNET_LEAST_CUDA)
      set(pvnet_found "nvcc ${CMAKE_CUDA_COMPILER_VERSION}")
    else()
      set(PVNET_HAS_CUDA ON)
    endif()
  else()
    set(pvnet_found "no nvcc that compiles")
  endif()
  if(NOT PVNET_HAS_CUDA)
    set(PVNET_NO_CUDA "${pvnet_refusal} ${pvnet_found} when it was built, expected nvcc ${PVNET_LEAST_CUDA} or newer on PATH. Install the CUDA toolkit, set CUDACXX to its nvcc, and ${pvnet_cure}")
    if(PVNET_CUDA STREQUAL "ON")
      message(FATAL_ERROR
        "[pvnet] the CUDA kernels cannot be compiled: got ${pvnet_found}, expected nvcc ${PVNET_LEAST_CUDA} or newer on PATH. "
        "Install the CUDA toolkit and set CUDACXX to its nvcc, or configure with -DPVNET_CUDA=AUTO.")
    endif()
  endif()
else()
  message(FATAL_ERROR
    "[pvnet] unknown value of PVNET_CUDA: got ${PVNET_CUDA}, expected AUTO, ON or OFF. "
    "Configure with -DPVNET_CUDA=AUTO.")
endif()
if(PVNET_HAS_CUDA)
  message(STATUS "CUDA kernels: nvcc ${CMAKE_CUDA_COMPILER_VERSION}, ${CMAKE_CUDA_ARCHITECTURES}")
else()
  message(STATUS "CUDA kernels: none (PVNET_CUDA=${PVNET_CUDA})")
endif()
