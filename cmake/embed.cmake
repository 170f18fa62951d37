# Files of a folder as constants of a C++ source. Included: tern_embed_web(TARGET FOLDER) adds the generated source
# to the target, made anew when a file changes. Run with cmake -P, and FOLDER and OUTPUT set: writes the source.

function(tern_embed_web target folder)
  file(GLOB files CONFIGURE_DEPENDS ${folder}/*)
  set(output ${PROJECT_BINARY_DIR}/generated/${target}_web_files.cc)
  set(script ${PROJECT_SOURCE_DIR}/cmake/embed.cmake)
  add_custom_command(OUTPUT ${output}
                     COMMAND ${CMAKE_COMMAND} -D FOLDER=${folder} -D OUTPUT=${output} -P ${script}
                     DEPENDS ${files} ${script}
                     COMMENT "Embedding ${folder}" VERBATIM)
  target_sources(${target} PRIVATE ${output})
endfunction()

if(NOT CMAKE_SCRIPT_MODE_FILE)
  return()
endif()

set(type_html "text/html; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")
set(type_svg "image/svg+xml")

file(GLOB files ${FOLDER}/*)
set(constants "")
set(rows "")
set(index 0)
foreach(file ${files})
  cmake_path(GET file FILENAME name)
  cmake_path(GET file EXTENSION LAST_ONLY extension)
  string(SUBSTRING "${extension}" 1 -1 extension)
  if(NOT DEFINED type_${extension})
    message(FATAL_ERROR "${file}: no content type is known for .${extension}")
  endif()
  set(path "/web/${name}")
  if(name STREQUAL "index.html")
    set(path "/")
  endif()
  file(READ ${file} bytes HEX)
  string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
  file(SHA256 ${file} digest)
  string(SUBSTRING ${digest} 0 32 digest)
  # The zero keeps the array of an empty file from being empty.
  string(APPEND constants "constexpr char kBytes${index}[] = {\n${bytes}\n0};\n")
  string(APPEND rows "    {\"${path}\", \"${type_${extension}}\", {kBytes${index}, sizeof(kBytes${index}) - 1},"
                     " \"\\\"${digest}\\\"\"},\n")
  math(EXPR index "${index} + 1")
endforeach()
file(WRITE ${OUTPUT} "// Made by cmake/embed.cmake.
#include \"server/web_files.h\"

namespace tern {
namespace {
${constants}
constexpr WebFile kFiles[] = {
${rows}};
}  // namespace

std::span<const WebFile> WebFiles() { return kFiles; }
}  // namespace tern
")
