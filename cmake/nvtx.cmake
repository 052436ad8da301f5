# The headers of NVTX, by which profilers show ranges: of the CUDA toolkit, else of the pip package
# nvidia-nvtx, which torch for CUDA brings, too. Nothing is linked, and a build without them only
# shows no ranges. PVNET_NVTX_INCLUDE_DIR may be set; OFF leaves them out.
function(pvnet_find_nvtx)
  set(hints "$ENV{CUDA_HOME}" "$ENV{CUDA_PATH}" /usr/local/cuda)
  find_package(Python 3.11 QUIET COMPONENTS Interpreter)
  if(Python_EXECUTABLE)
    execute_process(COMMAND "${Python_EXECUTABLE}" -c "import nvidia; print(*nvidia.__path__, sep=';')"
                    OUTPUT_VARIABLE packages OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    foreach(package IN LISTS packages)
      list(APPEND hints "${package}/cu13" "${package}/nvtx")
    endforeach()
  endif()
  find_path(PVNET_NVTX_INCLUDE_DIR nvtx3/nvToolsExt.h HINTS ${hints} PATH_SUFFIXES include
            DOC "Folder of nvtx3/nvToolsExt.h")
  mark_as_advanced(PVNET_NVTX_INCLUDE_DIR)
endfunction()

# For the files of a target that include <nvtx3/...> where __has_include finds it.
function(pvnet_use_nvtx target)
  if(PVNET_NVTX_INCLUDE_DIR)
    target_include_directories(${target} SYSTEM PRIVATE "${PVNET_NVTX_INCLUDE_DIR}")
  endif()
endfunction()
