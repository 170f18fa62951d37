# Cross build with Debian's g++-aarch64-linux-gnu; ctest runs the programs through qemu-user.
# Libraries come from the arm64 packages (dpkg --add-architecture arm64; see HACKING.md).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig)
# No -L: the loader of libc6-arm64-cross beside the libc of libc6:arm64 hangs in pthread_create when their versions differ.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64)
