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
    unsigned int value;
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
