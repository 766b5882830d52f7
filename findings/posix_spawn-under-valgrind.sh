#!/bin/sh
# posix_spawn(3) of a program that is not there "starts" it under valgrind.
#
# Seen with valgrind 3.19.0 (Debian 12, package valgrind 1:3.19.0-1), glibc 2.36. The C library makes
# the child by CLONE_VM|CLONE_VFORK, and the child notes in the memory that both have why it could not
# exec. valgrind makes that clone a fork, so that the note is written to a copy: posix_spawn returns 0
# instead of ENOENT, and the child ends with 127. Who tests a starter of processes under memcheck sees
# other results than without.
#
# Needs Debian 12 with apt-get, dpkg-deb and cc. Ends with 0 as long as that is so.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -q download valgrind=1:3.19.0-1 >/dev/null
dpkg-deb -x valgrind_*.deb valgrind
cat >start.c <<'C'
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

int main(void)
{
    char *argv[] = {"/no/such/program", NULL}, *environment[] = {NULL};
    pid_t pid;
    int status, error = posix_spawn(&pid, argv[0], NULL, NULL, argv, environment);

    printf("posix_spawn: %s\n", error ? strerror(error) : "no error");
    if (!error && waitpid(pid, &status, 0) == pid)
        printf("the child: exit status %d\n", WEXITSTATUS(status));
    return 0;
}
C
cc start.c -o start
VALGRIND_LIB=$dir/valgrind/usr/libexec/valgrind
export VALGRIND_LIB
{
    ./start
    valgrind/usr/bin/valgrind.bin -q ./start
} | tee seen
cat >expected <<'OUTPUT'
posix_spawn: No such file or directory
posix_spawn: no error
the child: exit status 127
OUTPUT
cmp expected seen
