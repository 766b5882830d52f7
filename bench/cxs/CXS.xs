/* The yardstick of bench/xsub.pl: Linux::Clone as its author might have written it in C.
 *
 * It holds what Linux::Clone holds, so that loading either does the same work: the functions
 * clone and unshare with the same prototypes, and the same constants under both of their
 * names, made in BOOT by newCONSTSUB from a table that the compiler filled.
 *
 * It holds no more than that. clone maps a stack, calls clone(2) of the C library and the
 * coderef, and unmaps; nothing is checked, flushed, blocked or caught. unshare passes an int.
 * A yardstick for the cost of a call, and not for use. */

#define PERL_NO_GET_CONTEXT
#include "EXTERN.h"
#include "perl.h"
#include "XSUB.h"

#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

/* not in every sched.h */
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef CLONE_DETACHED
#define CLONE_DETACHED 0x00400000
#endif

#define DEFAULT_STACK (4 << 20)

static const struct {
    const char *name;
    unsigned long value;
} constants[] = {
#define BOTH(name)                                                                                 \
    {#name, (unsigned int)CLONE_##name}, {"CLONE_" #name, (unsigned int)CLONE_##name}
    BOTH(FILES),
    BOTH(FS),
    BOTH(NEWNS),
    BOTH(VM),
    BOTH(THREAD),
    BOTH(SIGHAND),
    BOTH(SYSVSEM),
    BOTH(NEWUTS),
    BOTH(NEWIPC),
    BOTH(NEWNET),
    BOTH(PTRACE),
    BOTH(VFORK),
    BOTH(SETTLS),
    BOTH(PARENT_SETTID),
    BOTH(CHILD_SETTID),
    BOTH(CHILD_CLEARTID),
    BOTH(DETACHED),
    BOTH(UNTRACED),
    BOTH(NEWUSER),
    BOTH(NEWPID),
    BOTH(IO),
    BOTH(NEWCGROUP),
    BOTH(NEWTIME),
    BOTH(PIDFD),
    BOTH(PARENT),
    {"CSIGNAL", CSIGNAL},
    /* by their numbers: most are not in every header */
    {"CLEAR_SIGHAND", 1UL << 32},
    {"CLONE_CLEAR_SIGHAND", 1UL << 32},
    {"INTO_CGROUP", 1UL << 33},
    {"CLONE_INTO_CGROUP", 1UL << 33},
    {"CLD_CONTINUED", 6UL},
    {"CLD_DUMPED", 3UL},
    {"CLD_EXITED", 1UL},
    {"CLD_KILLED", 2UL},
    {"CLD_STOPPED", 5UL},
    {"CLD_TRAPPED", 4UL},
    {"IFF_ALLMULTI", 512UL},
    {"IFF_AUTOMEDIA", 16384UL},
    {"IFF_DEBUG", 4UL},
    {"IFF_DYNAMIC", 32768UL},
    {"IFF_MULTICAST", 4096UL},
    {"IFF_NOARP", 128UL},
    {"IFF_NOTRAILERS", 32UL},
    {"IFF_PORTSEL", 8192UL},
    {"IFF_PROMISC", 256UL},
    {"IFF_UP", 1UL},
    {"KCMP_EPOLL_TFD", 7UL},
    {"KCMP_FILE", 0UL},
    {"KCMP_FILES", 2UL},
    {"KCMP_FS", 3UL},
    {"KCMP_IO", 5UL},
    {"KCMP_SIGHAND", 4UL},
    {"KCMP_SYSVSEM", 6UL},
    {"KCMP_VM", 1UL},
    {"NS_GET_NSTYPE", _IO(0xb7, 3)},
    {"NS_GET_OWNER_UID", _IO(0xb7, 4)},
    {"NS_GET_PARENT", _IO(0xb7, 2)},
    {"NS_GET_USERNS", _IO(0xb7, 1)},
    {"NS_OWNER_UID", _IO(0xb7, 4)},
    {"PIDFD_NONBLOCK", 2048UL},
    {"PIDFD_SIGNAL_PROCESS_GROUP", 4UL},
    {"PIDFD_SIGNAL_THREAD", 1UL},
    {"PIDFD_SIGNAL_THREAD_GROUP", 2UL},
    {"PIDFD_THREAD", 128UL},
    {"P_ALL", 0UL},
    {"P_PGID", 2UL},
    {"P_PID", 1UL},
    {"P_PIDFD", 3UL},
    {"WCONTINUED", 8UL},
    {"WEXITED", 4UL},
    {"WNOHANG", 1UL},
    {"WNOWAIT", 16777216UL},
    {"WSTOPPED", 2UL},
    {"__WALL", 1073741824UL},
    {"__WCLONE", 2147483648UL},
    {"__WNOTHREAD", 536870912UL},
};

static int child(void *code)
{
    dTHX;
    int status;
    dSP;

    ENTER;
    SAVETMPS;
    PUSHMARK(SP);
    call_sv((SV *)code, G_SCALAR);
    SPAGAIN;
    status = POPi;
    PUTBACK;
    FREETMPS;
    LEAVE;
    return status;
}

MODULE = CXS    PACKAGE = CXS

PROTOTYPES: DISABLE

int
clone(code, stacksize, flags, ...)
        SV *code
        size_t stacksize
        int flags
    PROTOTYPE: $$$;$$$
    PREINIT:
        char *stack;
    CODE:
        if (stacksize == 0)
            stacksize = DEFAULT_STACK;
        stack = (char *)mmap(NULL, stacksize, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
        if (stack == (char *)MAP_FAILED)
            XSRETURN_IV(-1);
        RETVAL = clone(child, stack + stacksize, flags, code, NULL, NULL, NULL);
        munmap(stack, stacksize);
    OUTPUT:
        RETVAL

int
unshare(flags)
        int flags
    PROTOTYPE: @

BOOT:
    {
        HV *const stash = gv_stashpvs("CXS", GV_ADD);
        size_t i;

        for (i = 0; i < C_ARRAY_LENGTH(constants); i++)
            newCONSTSUB(stash, constants[i].name, newSVuv(constants[i].value));
    }
