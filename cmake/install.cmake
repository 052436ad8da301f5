# What an embedding program needs: library, headers, CMake package, pkg-config file.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

if(DEFINED SKBUILD)
  set(pvnet_namelink NAMELINK_SKIP)
endif()
install(TARGETS pvnet EXPORT pvnetTargets LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" ${pvnet_namelink}
        RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(FILES "${PROJECT_SOURCE_DIR}/csrc/include/pvnet/pvnet.h"
              "${PROJECT_SOURCE_DIR}/csrc/include/pvnet/pvnet.hpp"
        DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/pvnet")

if(DEFINED SKBUILD) # sources of kernels, for those who compile their own (pvnet.workshop)
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/kernels/" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/pvnet/kernels"
          FILES_MATCHING PATTERN "*.h" PATTERN "*.cuh" PATTERN "*.cu")
endif()

set(pvnet_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/pvnet")
install(EXPORT pvnetTargets NAMESPACE pvnet:: DESTINATION "${pvnet_package_dir}")
configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/pvnetConfig.cmake.in" "${CMAKE_CURRENT_BINARY_DIR}/pvnetConfig.cmake"
  INSTALL_DESTINATION "${pvnet_package_dir}")
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/pvnetConfigVersion.cmake"
                                 VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/pvnetConfig.cmake"
              "${CMAKE_CURRENT_BINARY_DIR}/pvnetConfigVersion.cmake"
        DESTINATION "${pvnet_package_dir}")

if(DEFINED SKBUILD) # -lpvnet needs the link that a wheel cannot have
  return()
endif()
# Relative to the .pc file, so that an installed tree can be moved; depth of lib/x/pkgconfig counted.
string(REGEX REPLACE "[^/]+" ".." pvnet_pc_up "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
set(pvnet_pc_prefix "\${pcfiledir}/${pvnet_pc_up}")
configure_file("${PROJECT_SOURCE_DIR}/cmake/pvnet.pc.in" "${CMAKE_CURRENT_BINARY_DIR}/pvnet.pc" @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/pvnet.pc"
        DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
