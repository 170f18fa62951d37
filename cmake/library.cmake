# libtern, the library of include/tern/, and what `cmake --install` puts where. One archive, or with BUILD_SHARED_LIBS one
# shared library, holds the objects of every module that tern_api needs: whoever links it sees none of them.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# tern_modules_of(target out): the modules that a module links, itself among them.
function(tern_modules_of target out)
  set(found)
  set(todo ${target})
  while(todo)
    list(POP_FRONT todo module)
    if(module IN_LIST found OR NOT module MATCHES "^tern_")
      continue()
    endif()
    list(APPEND found ${module})
    get_target_property(links ${module} INTERFACE_LINK_LIBRARIES)
    if(links)
      list(APPEND todo ${links})
    endif()
  endwhile()
  set(${out} ${found} PARENT_SCOPE)
endfunction()

tern_modules_of(tern_api modules)
set(objects)
foreach(module ${modules})
  get_target_property(type ${module} TYPE)
  if(NOT type STREQUAL INTERFACE_LIBRARY)
    list(APPEND objects $<TARGET_OBJECTS:${module}>)
  endif()
endforeach()
add_library(libtern ${objects})
add_library(tern::tern ALIAS libtern)
set_target_properties(libtern PROPERTIES
  OUTPUT_NAME tern EXPORT_NAME tern LINKER_LANGUAGE CXX
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
target_include_directories(libtern INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_features(libtern INTERFACE cxx_std_20)
# The libraries that objects of the modules call; all others of theirs are headers. cmake/ternConfig.cmake.in finds them
# for whoever links the archive.
target_link_libraries(libtern PRIVATE fmt::fmt PkgConfig::PCRE2 PkgConfig::XXHASH Threads::Threads)
set(pc_packages "fmt libpcre2-8 libxxhash")
set(pc_libraries "-pthread -lstdc++ -lm")
if(TERN_HAS_CUDA)
  target_link_libraries(libtern PRIVATE CUDA::cudart_static)
  string(APPEND pc_libraries " -L${CUDAToolkit_LIBRARY_DIR} -lcudart_static -ldl -lrt")
endif()
if(BUILD_SHARED_LIBS)
  set(pc_private ".private")
endif()

install(TARGETS libtern EXPORT ternTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS tern RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES include/tern/tern.h include/tern/tern_c.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tern)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
# The program looks for the built-in model there.
install(FILES models/tern-stories.gguf DESTINATION ${CMAKE_INSTALL_DATADIR}/tern)
install(FILES models/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME tern-stories.md)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tern)
install(EXPORT ternTargets NAMESPACE tern:: DESTINATION ${package_dir})
configure_package_config_file(cmake/ternConfig.cmake.in ${PROJECT_BINARY_DIR}/ternConfig.cmake
  INSTALL_DESTINATION ${package_dir} PATH_VARS CMAKE_INSTALL_DATADIR)
# A version 0.x promises nothing to 0.y.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ternConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ternConfig.cmake ${PROJECT_BINARY_DIR}/ternConfigVersion.cmake
  DESTINATION ${package_dir})

# The folders of tern.pc stand relative to where it lies, so that an installed tree can be moved.
set(pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH pc_to_prefix ${CMAKE_INSTALL_PREFIX}/${pc_dir} ${CMAKE_INSTALL_PREFIX})
configure_file(cmake/tern.pc.in ${PROJECT_BINARY_DIR}/tern.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/tern.pc DESTINATION ${pc_dir})
