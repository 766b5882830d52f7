/* AddressSanitizer knows the stack of a thread, not those that a child of clone(2) gets. A longjmp
 * on such a stack leaves the marks of the frames it passes, which are later taken for errors
 * (https://github.com/google/sanitizers/issues/189). So does a child that ends in memory which it
 * shares with its parent. xt/stress/sanitizers.t loads this first, which takes them away.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void *__libc_stack_end;
/* not there in a program without AddressSanitizer */
extern void __asan_unpoison_memory_region(void const volatile *, size_t) __attribute__((weak));
extern const char *__asan_locate_address(void *, char *, size_t, void **, size_t *)
    __attribute__((weak));

/* A child that is killed may leave one. */
enum { STACKS = 4096 };
static struct { char *from, *to; } stacks[STACKS];
static unsigned used;

static void clear(char *from, char *to)
{
    if (__asan_unpoison_memory_region && from < to)
        __asan_unpoison_memory_region(from, to - from);
}

/* The stacks that somebody else than our callers ran on; of our own, what is below us. */
static void clear_others(void)
{
    char *here = __builtin_frame_address(0);
    for (unsigned i = 0; i < used; i++)
        clear(stacks[i].from, here >= stacks[i].from && here < stacks[i].to ? here : stacks[i].to);
}

void *mmap(void *at, size_t size, int access, int flags, int fd, off_t offset)
{
    char *base = (char *)syscall(SYS_mmap, at, size, access, flags, fd, offset);
    if (base != MAP_FAILED && flags & MAP_STACK) {
        unsigned i = 0;
        while (i < used && stacks[i].from && stacks[i].from != base)
            i++;
        if (i == STACKS)
            abort();
        if (i == used)
            used++;
        stacks[i].from = base;
        stacks[i].to = base + size;
        clear(base, base + size);
    }
    return base;
}

int munmap(void *base, size_t size)
{
    for (unsigned i = 0; i < used; i++)
        if (stacks[i].from == base)
            stacks[i].from = stacks[i].to = NULL;
    return syscall(SYS_munmap, base, size);
}

/* The parent calls this around a child that shares memory. */
int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
    clear_others();
    return syscall(SYS_rt_sigprocmask, (long)how, set, old, 8L);
}

/* Called before each longjmp. */
void __asan_handle_no_return(void)
{
    char *here = __builtin_frame_address(0);
    for (unsigned i = 0; i < used; i++)
        if (here >= stacks[i].from && here < stacks[i].to) {
            clear(stacks[i].from, stacks[i].to);
            return;
        }
    char *end = __libc_stack_end;
    if (here < end && end - here < 64 << 20) {
        clear(here, end);
        return;
    }
    /* perlxs's tests take memory from malloc for one */
    void *from;
    size_t size = 0;
    char name[1];
    __asan_locate_address(here, name, sizeof name, &from, &size);
    if (size)
        clear(from, (char *)from + size);
}
