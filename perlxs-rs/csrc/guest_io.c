/* What perl itself has of a guest's handles: the IOs, beside their PerlIO. A guest's operations
 * tell which it touches; each is noted as it was before, and is that again afterwards. */

struct noted_io {
    IO *io; /* without a reference: NULL once it is freed */
    PerlIO *ifp;
    PerlIO *ofp;
    DIR *dir;
    int is_copied; /* dir: the guest has a copy of it, */
    long place;    /* and it was there */
    IV lines;
    IV page;
    IV page_len;
    IV lines_left;
    char type;
    U8 flags;
};

static struct noted_io *S_noted_io(const perlxs_shared *s, const IO *io)
{
    size_t i;

    for (i = 0; i < s->nios; i++)
        if (s->ios[i].io == io)
            return &s->ios[i];
    return NULL;
}

static int S_free_noted(pTHX_ SV *sv, MAGIC *mg)
{
    perlxs_shared *s;

    PERL_UNUSED_CONTEXT;
    PERL_UNUSED_VAR(mg);
    for (s = S_guest; s; s = s->host) {
        struct noted_io *const noted = S_noted_io(s, (IO *)sv);

        if (!noted)
            continue;
        if (noted->dir && IoDIRP((IO *)sv) == noted->dir)
            IoDIRP((IO *)sv) = NULL; /* perl would free it, and close it here alone */
        if (noted->dir)
            noted->io = NULL;
        else
            *noted = s->ios[--s->nios];
    }
    return 0;
}

/* Tells when an IO that is noted is freed. */
static MGVTBL S_noted = { NULL, NULL, NULL, NULL, S_free_noted, NULL, NULL, NULL };

/* Those that the guest has opened, or that an earlier guest has left, are not noted: `is_new` tells
 * that it was closed before. */
static void S_note_io(pTHX_ perlxs_shared *s, IO *io, int is_new)
{
    struct noted_io *noted;
    MAGIC *mg;

    if (!io || (!is_new && IoIFP(io) && !S_aside_of(s, IoIFP(io))))
        return;
    mg = SvMAGICAL(io) || SvMAGIC(io) ? mg_findext((SV *)io, PERL_MAGIC_ext, &S_noted) : NULL;
    if (!mg)
        mg = sv_magicext((SV *)io, NULL, PERL_MAGIC_ext, &S_noted, NULL, 0);
    else if (mg->mg_ptr == (char *)s) /* the innermost guest that has noted it */
        return;
    mg->mg_ptr = (char *)s;
    if (s->nios == s->room) {
        s->room = s->room ? 2 * s->room : 4;
        Renew(s->ios, s->room, struct noted_io);
    }
    noted = &s->ios[s->nios++];
    Zero(noted, 1, struct noted_io);
    noted->io = io;
    noted->type = IoTYPE_CLOSED;
    noted->page_len = IoPAGE_LEN(io);
    noted->flags = IoFLAGS(io);
    if (is_new)
        return;
    noted->ifp = IoIFP(io);
    noted->ofp = IoOFP(io);
    noted->dir = IoDIRP(io);
    noted->lines = IoLINES(io);
    noted->page = IoPAGE(io);
    noted->lines_left = IoLINES_LEFT(io);
    noted->type = IoTYPE(io);
}

/* The glob or IO that a value is, or refers to; or NULL. */
static SV *S_as_handle(SV *sv)
{
    if (sv && SvROK(sv))
        sv = SvRV(sv);
    return sv && (isGV_with_GP(sv) || SvTYPE(sv) == SVt_PVIO) ? sv : NULL;
}

static IO *S_io_of(SV *handle)
{
    return SvTYPE(handle) == SVt_PVIO ? (IO *)handle : GvIO((GV *)handle);
}

/* A read, a rewind, a closedir, an opendir in its place: of a directory the C library has a buffer
 * in the memory. The guest gets one of its own. */
static void S_copy_dir(pTHX_ struct noted_io *noted)
{
    int fd;
    DIR *copy;

    if (!noted || !noted->dir || noted->is_copied || IoDIRP(noted->io) != noted->dir)
        return;
    fd = fcntl(dirfd(noted->dir), F_DUPFD_CLOEXEC, 0);
    copy = fd == -1 ? NULL : fdopendir(fd);
    if (!copy) {
        if (fd != -1)
            close(fd);
        return;
    }
    noted->place = telldir(noted->dir);
    noted->is_copied = 1;
    seekdir(copy, noted->place);
    IoDIRP(noted->io) = copy;
}

/* An operation, PL_op, of a guest that has a table of descriptors of its own: notes the handles
 * among its `n` arguments from `arg` on, and those that it opens. */
static OP *S_noting(pTHX_ perlxs_shared *s, SV **arg, int n)
{
    const OPCODE type = PL_op->op_type;
    GV *fresh[2];
    int nfresh = 0;
    OP *next;

    for (; n > 0 && arg <= PL_stack_sp; arg++, n--) {
        SV *const handle = S_as_handle(*arg);
        IO *const io = handle ? S_io_of(handle) : NULL;

        if (!handle)
            continue;
        S_note_io(aTHX_ s, io, 0);
        if (io && (type == OP_OPEN_DIR || type == OP_READDIR || type == OP_TELLDIR
                   || type == OP_SEEKDIR || type == OP_REWINDDIR || type == OP_CLOSEDIR))
            S_copy_dir(aTHX_ S_noted_io(s, io));
        else if (!io && nfresh < 2)
            fresh[nfresh++] = (GV *)SvREFCNT_inc_simple_NN(handle);
    }
    if (nfresh == 0)
        return PL_op->op_ppaddr(aTHX);
    next = PL_op->op_ppaddr(aTHX);
    while (nfresh > 0) {
        GV *const gv = fresh[--nfresh];

        if (S_guest == s && isGV_with_GP(gv))
            S_note_io(aTHX_ s, GvIO(gv), 1);
        SvREFCNT_dec_NN(gv);
    }
    return next;
}

/* What the operation PL_op of a guest does to handles is noted. */
static OP *S_guest_io(pTHX_ perlxs_shared *s)
{
    SV **const top = PL_stack_sp;
    SV *callee = *top;

    if (s->shares_files)
        return PL_op->op_ppaddr(aTHX);
    switch (PL_op->op_type) {
    case OP_OPEN:
        return S_noting(aTHX_ s, PL_stack_base + TOPMARK + 1, 1);
    case OP_SOCKPAIR:
        return S_noting(aTHX_ s, top - 4, 2);
    case OP_SOCKET:
        return S_noting(aTHX_ s, top - 3, 1);
    case OP_SYSOPEN:
    case OP_BINMODE:
        return S_noting(aTHX_ s, top - (MAXARG - 1), 1);
    case OP_PIPE_OP:
    case OP_ACCEPT:
        return S_noting(aTHX_ s, top - 1, 2);
    case OP_OPEN_DIR:
    case OP_SEEKDIR:
        return S_noting(aTHX_ s, top - 1, 1);
    case OP_RCATLINE:
        S_note_io(aTHX_ s, GvIO(cGVOP_gv), 0);
        break;
    case OP_ENTERSUB: /* methods of IO::Handle that are written in C */
        if (callee && SvROK(callee))
            callee = SvRV(callee);
        if (callee && isGV_with_GP(callee))
            callee = (SV *)GvCV((GV *)callee);
        if (!callee || SvTYPE(callee) != SVt_PVCV || !CvISXSUB((CV *)callee))
            break;
        if (S_logs(aTHX_ (CV *)callee))
            return S_guest_log(aTHX_ s);
        return S_noting(aTHX_ s, PL_stack_base + TOPMARK + 1, 1);
    default:
        return S_noting(aTHX_ s, top, 1);
    }
    return PL_op->op_ppaddr(aTHX);
}

/* For the runops loop: the operations that change something of a handle. */
#define CASE_OF_HANDLES                                                                            \
    case OP_OPEN: case OP_SYSOPEN: case OP_CLOSE: case OP_PIPE_OP: case OP_SOCKET:                 \
    case OP_SOCKPAIR: case OP_ACCEPT: case OP_READLINE: case OP_RCATLINE: case OP_EOF:             \
    case OP_BINMODE: case OP_SELECT: case OP_ENTERWRITE: case OP_OPEN_DIR: case OP_READDIR:        \
    case OP_TELLDIR: case OP_SEEKDIR: case OP_REWINDDIR: case OP_CLOSEDIR: case OP_UNDEF:          \
    case OP_ENTERSUB

/* Where the number is somebody else's the little that the C library has allocated stays, since
 * closedir would close that. */
static void S_drop_dir(DIR *dir)
{
    if (fcntl(dirfd(dir), F_GETFD) == -1)
        closedir(dir);
}

/* What is `noted` afterwards are the handles that the guest has opened there, or NULL. */
static void S_restore_io(pTHX_ perlxs_shared *s, struct noted_io *noted)
{
    IO *const io = noted->io;
    PerlIO *ifp;
    PerlIO *ofp;
    struct aside *a;

    if (!io) { /* nobody has it any more */
        closedir(noted->dir);
        noted->ifp = noted->ofp = NULL;
        return;
    }
    if (s->host && S_noted_io(s->host, io))
        mg_findext((SV *)io, PERL_MAGIC_ext, &S_noted)->mg_ptr = (char *)s->host;
    else
        sv_unmagicext((SV *)io, PERL_MAGIC_ext, &S_noted);
    if (IoDIRP(io) && IoDIRP(io) != noted->dir)
        S_drop_dir(IoDIRP(io));
    IoDIRP(io) = noted->dir;
    if (noted->is_copied)
        seekdir(noted->dir, noted->place);
    ifp = IoIFP(io);
    ofp = IoOFP(io);
    IoIFP(io) = noted->ifp;
    IoOFP(io) = noted->ofp;
    if ((a = S_aside_of(s, noted->ifp)))
        a->closed = 0;
    if ((a = S_aside_of(s, noted->ofp)))
        a->closed = 0;
    IoLINES(io) = noted->lines;
    IoPAGE(io) = noted->page;
    IoPAGE_LEN(io) = noted->page_len;
    IoLINES_LEFT(io) = noted->lines_left;
    IoTYPE(io) = noted->type;
    IoFLAGS(io) = noted->flags;
    noted->ifp = S_aside_of(s, ifp) ? NULL : ifp;
    noted->ofp = S_aside_of(s, ofp) || ofp == ifp ? NULL : ofp;
}

/* A handle of the host's that the guest has closed and that no IO has: who had it is destroyed, and
 * it with him. */
static void S_close_orphans(pTHX_ perlxs_shared *s)
{
    size_t i;

    for (i = 0; i < s->naside; i++)
        if (s->aside[i].closed) {
            s->aside[i].closed = 0;
            if (s->aside[i].fd != -1)
                (void)av_delete(PL_fdpid, s->aside[i].fd, G_DISCARD);
            PerlIO_close(s->aside[i].file);
        }
}

/* A reference that keeps nothing alive; NULL for NULL. */
static SV *S_weak(pTHX_ GV *gv)
{
    return gv ? sv_rvweaken(newRV_inc((SV *)gv)) : NULL;
}

static GV *S_weak_end(pTHX_ SV *weak)
{
    GV *const gv = weak && SvROK(weak) ? (GV *)SvRV(weak) : NULL;

    SvREFCNT_dec(weak);
    return gv;
}

/* For a guest that has a table of descriptors of its own: what it does to the handles that there
 * are is to be undone. */
static void S_part_handles(pTHX_ perlxs_shared *s)
{
    SSize_t fd;

    S_set_handles_aside(aTHX_ s);
    if (PL_last_in_gv && isGV_with_GP(PL_last_in_gv))
        S_note_io(aTHX_ s, GvIO(PL_last_in_gv), 0);
    if (PL_defoutgv && isGV_with_GP(PL_defoutgv))
        S_note_io(aTHX_ s, GvIO(PL_defoutgv), 0);
    /* the programs at the ends of the pipes that are open */
    s->fdpid = PL_fdpid;
    PL_fdpid = newAV();
    for (fd = 0; fd <= AvFILLp(s->fdpid); fd++)
        if (AvARRAY(s->fdpid)[fd])
            av_store(PL_fdpid, fd, SvREFCNT_inc_simple_NN(AvARRAY(s->fdpid)[fd]));
    s->shares_files = 0;
    s->is_parted = 1;
}

/* What perl has for all handles together: `$.`, select, `_`. */
static void S_keep_io_state(pTHX_ perlxs_shared *s)
{
    s->last_in = S_weak(aTHX_ PL_last_in_gv);
    s->defout = (GV *)SvREFCNT_inc_simple((SV *)PL_defoutgv);
    s->statgv = S_weak(aTHX_ PL_statgv);
    s->statname = PL_statname;
    PL_statname = SvPOK(PL_statname) ? newSVpvn(SvPVX(PL_statname), SvCUR(PL_statname)) : newSV(0);
    s->statcache = PL_statcache;
    s->laststatval = PL_laststatval;
    s->laststype = PL_laststype;
}

/* Before the guest's frames are left: whatever runs then finds the host's handles. */
static void S_join_handles(pTHX_ perlxs_shared *s)
{
    size_t i;

    if (s->fdpid) {
        AV *const guests = PL_fdpid;

        PL_fdpid = s->fdpid;
        s->fdpid = NULL;
        SvREFCNT_dec_NN(guests);
    }
    if (s->is_parted) {
        S_take_handles_back(aTHX_ s);
        for (i = 0; i < s->nios; i++)
            S_restore_io(aTHX_ s, &s->ios[i]);
        s->is_parted = 0; /* what is opened from here on is ours */
    }
    if (s->statname) {
        GV *const defout = s->defout;

        PL_last_in_gv = S_weak_end(aTHX_ s->last_in);
        PL_statgv = S_weak_end(aTHX_ s->statgv);
        SvREFCNT_dec(PL_statname);
        PL_statname = s->statname;
        s->statname = NULL;
        PL_statcache = s->statcache;
        PL_laststatval = s->laststatval;
        PL_laststype = s->laststype;
        s->defout = NULL;
        setdefout(defout);
        SvREFCNT_dec(defout);
    }
}

/* After the guest's frames have been left. Takes up where it was interrupted: what is closed may
 * run perl code of a layer, which may throw. */
static void S_drop_guests_handles(pTHX_ perlxs_shared *s)
{
    S_free_guests_layers(aTHX_ s);
    while (s->nios > 0) {
        struct noted_io *const noted = &s->ios[s->nios - 1];
        PerlIO *const file = noted->ifp ? noted->ifp : noted->ofp;

        if (file == noted->ifp)
            noted->ifp = NULL;
        else
            noted->ofp = NULL;
        if (file)
            PerlIO_close(file);
        else
            s->nios--;
    }
    S_close_orphans(aTHX_ s);
}
