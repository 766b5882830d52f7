/* The handles that a guest leaves, and those that it found. */

static void S_forget_dir(const IO *io)
{
    perlxs_shared *s;
    size_t i;

    for (s = S_guest; s; s = s->host)
        for (i = 0; i < s->ndirs; i++)
            if (s->dirs[i] == io) {
                s->dirs[i] = s->dirs[--s->ndirs];
                return;
            }
}

static int S_free_guests_dir(pTHX_ SV *sv, MAGIC *mg)
{
    PERL_UNUSED_CONTEXT;
    PERL_UNUSED_VAR(mg);
    S_forget_dir((IO *)sv);
    return 0;
}

/* Tells when a directory handle that a guest has opened is freed. */
static MGVTBL S_guests_dir = { NULL, NULL, NULL, NULL, S_free_guests_dir, NULL, NULL, NULL };

/* A guest's opendir op, PL_op. */
static OP *S_guest_opendir(pTHX)
{
    GV *const gv = isGV_with_GP(PL_stack_sp[-1]) ? (GV *)PL_stack_sp[-1] : NULL;
    OP *const next = PL_op->op_ppaddr(aTHX);
    IO *const io = gv ? GvIO(gv) : NULL;
    perlxs_shared *const s = S_guest;

    if (io && IoDIRP(io) && s && !s->shares_files) {
        if (mg_findext((SV *)io, PERL_MAGIC_ext, &S_guests_dir))
            S_forget_dir(io);
        else
            sv_magicext((SV *)io, NULL, PERL_MAGIC_ext, &S_guests_dir, NULL, 0);
        Renew(s->dirs, s->ndirs + 1, IO *);
        s->dirs[s->ndirs++] = io;
    }
    return next;
}

/* The directory handles that the other process has left: as S_disown_handles. Where the number is
 * somebody else's the little that the C library has allocated stays, since closedir would close
 * that. */
static void S_disown_dirs(pTHX_ perlxs_shared *s)
{
    while (s->ndirs > 0) {
        IO *const io = s->dirs[--s->ndirs];

        if (IoDIRP(io) && fcntl(dirfd(IoDIRP(io)), F_GETFD) == -1)
            closedir(IoDIRP(io));
        IoDIRP(io) = NULL;
        sv_unmagicext((SV *)io, PERL_MAGIC_ext, &S_guests_dir);
    }
}

/* The descriptor of a handle of one of perl's own lowest layers, or -1. Asks no other layer, since
 * those of modules may run perl code. */
static int S_descriptor(pTHX_ PerlIO *f)
{
    if (!*f)
        return -1;
    while ((*f)->next)
        f = &(*f)->next;
    if ((*f)->tab == &PerlIO_unix ? (*f)->flags & PERLIO_F_OPEN : (*f)->tab == &PerlIO_stdio)
        return PerlIO_fileno(f);
    return -1;
}

/* The interpreter's open handles, in the order of its table; those of `but` left out. */
static struct open_handle *S_open_handles(pTHX_ const struct open_handle *but, size_t nbut,
                                          size_t *n)
{
    struct open_handle *list = NULL;
    size_t room = 0;
    size_t known = 0;
    PerlIOl *table;
    int i;

    *n = 0;
    for (table = PL_perlio; table; table = table->next)
        for (i = 1; i < PERLIO_TABLE_SIZE; i++) {
            PerlIO *const file = (PerlIO *)&table[i];
            const int fd = S_descriptor(aTHX_ file);
            const int before = known < nbut && but[known].file == file ? but[known++].fd : -1;

            if (fd == -1 || fd == before)
                continue;
            if (*n == room) {
                room = room ? 2 * room : 8;
                Renew(list, room, struct open_handle);
            }
            list[*n].file = file;
            list[*n].fd = fd;
            ++*n;
        }
    return list;
}

/* The lowest layer of a handle whose descriptor was another process's. */
static IV S_gone_fileno(pTHX_ PerlIO *f)
{
    PERL_UNUSED_CONTEXT;
    PERL_UNUSED_VAR(f);
    errno = EBADF;
    return -1;
}

static SSize_t S_gone_read(pTHX_ PerlIO *f, void *p, Size_t n)
{
    PERL_UNUSED_VAR(p);
    PERL_UNUSED_VAR(n);
    return (SSize_t)S_gone_fileno(aTHX_ f);
}

static SSize_t S_gone_write(pTHX_ PerlIO *f, const void *p, Size_t n)
{
    PERL_UNUSED_VAR(p);
    PERL_UNUSED_VAR(n);
    return (SSize_t)S_gone_fileno(aTHX_ f);
}

static IV S_gone_seek(pTHX_ PerlIO *f, Off_t offset, int whence)
{
    PERL_UNUSED_VAR(offset);
    PERL_UNUSED_VAR(whence);
    return S_gone_fileno(aTHX_ f);
}

static Off_t S_gone_tell(pTHX_ PerlIO *f)
{
    return (Off_t)S_gone_fileno(aTHX_ f);
}

static IV S_gone_close(pTHX_ PerlIO *f)
{
    PERL_UNUSED_CONTEXT;
    PERL_UNUSED_VAR(f);
    return 0;
}

/* A pipe that the other process has opened: the process at its end is no child of ours to wait for,
 * and perl dies when it closes a pipe that has no descriptor. So it is one no more. */
static void S_disown_pipe(pTHX_ PerlIO *file, int fd)
{
    SV **const pid = av_fetch(PL_fdpid, fd, 0);
    SV *arena;
    SV *sv;

    if (!pid)
        return;
    SvREFCNT_dec(*pid);
    *pid = NULL;
    for (arena = PL_sv_arenaroot; arena; arena = (SV *)SvANY(arena))
        for (sv = arena + 1; sv < arena + SvREFCNT(arena); sv++)
            if (SvTYPE(sv) == SVt_PVIO && IoTYPE((IO *)sv) == IoTYPE_PIPE
                && IoIFP((IO *)sv) == file)
                IoTYPE((IO *)sv) = IoTYPE_RDWR;
}

/* Handles that the other process has opened: their descriptors are its own, and here the number may
 * be another thread's file, or become one. So they lose it. */
static void S_disown_handles(pTHX_ const perlxs_shared *s)
{
    static PerlIO_funcs gone;
    struct open_handle *foreign;
    size_t n;
    size_t i;

    MUTEX_LOCK(&PL_perlio_mutex);
    if (!gone.size) {
        gone = PerlIO_unix;
        gone.name = "gone";
        gone.Fileno = S_gone_fileno;
        gone.Dup = PerlIOBase_dup;
        gone.Read = S_gone_read;
        gone.Write = S_gone_write;
        gone.Seek = S_gone_seek;
        gone.Tell = S_gone_tell;
        gone.Close = S_gone_close;
    }
    MUTEX_UNLOCK(&PL_perlio_mutex);
    foreign = S_open_handles(aTHX_ s->handles, s->nhandles, &n);
    for (i = 0; i < n; i++) {
        PerlIOl *layer = *foreign[i].file;

        /* the guest may have stopped sharing since (unshare) */
        if (s->shares_files && fcntl(foreign[i].fd, F_GETFD) != -1)
            continue;
        PerlIOUnix_refcnt_dec(foreign[i].fd);
        S_disown_pipe(aTHX_ foreign[i].file, foreign[i].fd);
        for (;; layer = layer->next) {
            layer->flags &= ~(PERLIO_F_CANREAD | PERLIO_F_CANWRITE | PERLIO_F_RDBUF
                              | PERLIO_F_WRBUF);
            if (layer->tab == &PerlIO_stdio) /* else the C library writes it at exit */
                __fpurge(PerlIO_findFILE(foreign[i].file));
            if (!layer->next)
                break;
        }
        layer->tab = &gone;
    }
    Safefree(foreign);
}
