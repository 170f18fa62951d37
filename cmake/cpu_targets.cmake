# The instruction sets of the CPU backend: src/backend/cpu/targets/<isa>.cc is compiled with the flags given here, and
# nothing else is. No fused multiply-add: sums must be the same bits everywhere.
set(TERN_CPU_DIR ${PROJECT_SOURCE_DIR}/src/backend/cpu)
set(avx512_flags -mavx512f -mavx512bw -mavx512vl -mavx512dq)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # GCC 12 takes the undefined operands inside its own intrinsics for mistakes (GCC bug 105593, fixed in 13).
  list(APPEND avx512_flags -Wno-maybe-uninitialized -Wno-uninitialized)
endif()

# The undefined-behaviour sanitizer's checks in unrolled kernels cost minutes of compilation a file; the address sanitizer
# stays.
if(TERN_SANITIZE)
  set(unsanitized -fno-sanitize=undefined)
endif()

function(tern_cpu_target isa)
  set(source ${TERN_CPU_DIR}/targets/${isa}.cc)
  target_sources(tern_backend_cpu PRIVATE ${source})
  set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS
    "-O3;-fno-math-errno;-Wno-psabi;${ARGN};${unsanitized}")
endfunction()

tern_module(backend/cpu DEPS tern_backend tern_memory)
tern_cpu_target(scalar)
tern_cpu_target(scalar_head)
if(TERN_SCALAR_ONLY)
  target_sources(tern_backend_cpu PRIVATE ${TERN_CPU_DIR}/lists/scalar.cc)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  tern_cpu_target(avx2 -mavx2)
  tern_cpu_target(avxvnni -mavx2 -mavxvnni)
  tern_cpu_target(avx512vnni ${avx512_flags} -mavx512vnni)
  tern_cpu_target(amx ${avx512_flags} -mavx512vnni -mamx-tile -mamx-int8 -mamx-bf16)
  tern_cpu_target(avx2_head -mavx2 -mf16c)
  tern_cpu_target(avxvnni_head -mavx2 -mavxvnni)
  tern_cpu_target(avx512vnni_head ${avx512_flags} -mavx512vnni)
  target_sources(tern_backend_cpu PRIVATE ${TERN_CPU_DIR}/lists/x86.cc)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  tern_cpu_target(neon)
  tern_cpu_target(neon_dotprod -march=armv8.2-a+dotprod)
  tern_cpu_target(neon_i8mm -march=armv8.2-a+dotprod+i8mm)
  tern_cpu_target(neon_head)
  tern_cpu_target(neon_dotprod_head -march=armv8.2-a+dotprod)
  target_sources(tern_backend_cpu PRIVATE ${TERN_CPU_DIR}/lists/arm64.cc)
else()
  target_sources(tern_backend_cpu PRIVATE ${TERN_CPU_DIR}/lists/scalar.cc)
endif()
