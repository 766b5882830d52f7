/* The layers of a guest's handles: copies of its host's, as far as those are known well enough, or
 * the host's own, lent. See guest_handles.c. */

/* A layer that is not known well enough to be copied: the guest uses that of its host, but cannot
 * free it. What it has changed inside stays changed. */
struct lent_layer {
    PerlIOl *layer;
    PerlIOl was;
    PerlIO_funcs funcs;
    int is_counted; /* of :stdio, until the guest closes it */
    int is_clear;   /* its FILE has neither met an error nor its end */
    struct lent_layer *next;
};

struct aside {
    PerlIO *file;
    PerlIOl *layers; /* the host's */
    U32 locks;       /* perlio.c: PerlIO_lockcnt */
    int fd;          /* that of the lowest layer, or -1 */
    int counted;     /* how many of the layers are in PerlIO's count for it */
    int closed;      /* by the guest */
    PerlIOl taken;   /* what is in the slot then */
    PerlIOl guests;  /* whose head the guest's layers have, once they are out of the slot */
    struct lent_layer *lent;
};

/* perl's own, as perlio.c and encoding.xs have them in all perls */
typedef struct {
    PerlIOBuf base;
    STDCHAR *nl;
} S_crlf;

typedef struct {
    PerlIOBuf base;
    SV *bufsv;
    SV *data;
    SV *enc;
    SV *chk;
    int flags;
    int in_call;
} S_encoding;

/* The lowest layer of a handle whose descriptor is another process's. */
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

/* Of handles whose files are another process's; of those that a guest has closed; of the lowest
 * layer of each that it uses. */
static PerlIO_funcs S_gone;
static PerlIO_funcs S_taken;
static PerlIO_funcs S_guests_unix;

/* Of perl's own lowest layers, also where they are a guest's. */
static int S_is_unix(const PerlIOl *layer)
{
    return layer->tab && layer->tab->Read == PerlIO_unix.Read;
}

static int S_is_stdio(const PerlIOl *layer)
{
    return layer->tab && layer->tab->Read == PerlIO_stdio.Read;
}

/* Of :stdio. */
static FILE *S_file_of(PerlIOl *layer)
{
    PerlIO_funcs *const tab = layer->tab;
    FILE *file;

    layer->tab = PERLIO_FUNCS_CAST(&PerlIO_stdio);
    file = PerlIO_findFILE(&layer);
    layer->tab = tab;
    return file;
}

static struct aside *S_aside_of(const perlxs_shared *s, const void *file)
{
    size_t i;

    for (i = 0; s && i < s->naside; i++)
        if (s->aside[i].file == (const PerlIO *)file)
            return &s->aside[i];
    return NULL;
}

/* PerlIO_close pops what there is until there is nothing, but from a slot that is in use: so this
 * is one. */
static PerlIOl *S_take(struct aside *a)
{
    PerlIOl *const head = (PerlIOl *)a->file;

    Zero(&a->taken, 1, PerlIOl);
    a->taken.tab = &S_taken;
    a->taken.head = head;
    head->flags = 1;
    return &a->taken;
}

static IV S_taken_popped(pTHX_ PerlIO *f)
{
    PERL_UNUSED_CONTEXT;
    PERL_UNUSED_VAR(f);
    return 1; /* it is not freed */
}

static IV S_unix_popped(pTHX_ PerlIO *f)
{
    PerlIOl *const layer = *f;
    struct aside *const a = S_aside_of(S_guest, layer->head);

    if (!a)
        return 0;
    if (layer->flags & PERLIO_F_OPEN) /* by :pop, which does not close */
        PerlIOUnix_refcnt_dec(PerlIO_fileno(f));
    *f = S_take(a);
    Safefree(layer);
    return 1;
}

static struct lent_layer *S_lent(const struct aside *a, const PerlIOl *layer)
{
    struct lent_layer *lent = a ? a->lent : NULL;

    while (lent && lent->layer != layer)
        lent = lent->next;
    return lent;
}

/* Returns what is left of the count for the descriptor. */
static int S_uncount_lent(struct aside *a, struct lent_layer *lent)
{
    if (!lent->is_counted)
        return -1;
    lent->is_counted = 0;
    return PerlIOUnix_refcnt_dec(a->fd);
}

static IV S_lent_popped(pTHX_ PerlIO *f)
{
    PerlIOl *const layer = *f;
    struct aside *const a = S_aside_of(S_guest, layer->head);
    struct lent_layer *const lent = S_lent(a, layer);

    PERL_UNUSED_CONTEXT;
    if (lent)
        S_uncount_lent(a, lent);
    *f = layer->next || !a ? layer->next : S_take(a);
    return 1;
}

static IV S_lent_close(pTHX_ PerlIO *f)
{
    struct aside *const a = S_aside_of(S_guest, (*f)->head);
    struct lent_layer *const lent = S_lent(a, *f);
    IV code;

    if (!lent || !S_is_stdio(*f))
        return PerlIOBase_close(aTHX_ f);
    code = PerlIO_flush(f);
    if (S_uncount_lent(a, lent) == 0 && close(a->fd) != 0)
        code = -1;
    return code;
}

/* A layer that is made from this one is none that was lent. */
static PerlIO *S_lent_dup(pTHX_ PerlIO *f, PerlIO *o, CLONE_PARAMS *param, int flags)
{
    PerlIOl *const layer = *o;
    PerlIO_funcs *const ours = layer->tab;
    const struct lent_layer *const lent = S_lent(S_aside_of(S_guest, layer->head), layer);

    if (!lent)
        return NULL;
    layer->tab = lent->was.tab;
    f = layer->tab->Dup ? layer->tab->Dup(aTHX_ f, o, param, flags)
                        : PerlIOBase_dup(aTHX_ f, o, param, flags);
    layer->tab = ours;
    return f;
}

static void S_init_layers(pTHX)
{
    MUTEX_LOCK(&PL_perlio_mutex);
    if (!S_gone.size) {
        S_guests_unix = PerlIO_unix;
        S_guests_unix.Popped = S_unix_popped;
        S_gone = PerlIO_unix;
        S_gone.name = "gone";
        S_gone.Fileno = S_gone_fileno;
        S_gone.Dup = PerlIOBase_dup;
        S_gone.Read = S_gone_read;
        S_gone.Write = S_gone_write;
        S_gone.Seek = S_gone_seek;
        S_gone.Tell = S_gone_tell;
        S_gone.Close = S_gone_close;
        S_taken = S_gone;
        S_taken.Popped = S_taken_popped;
    }
    MUTEX_UNLOCK(&PL_perlio_mutex);
}

/* The descriptor of a handle of one of perl's own lowest layers, or -1. Asks no other layer, since
 * those of modules may run perl code. */
static int S_descriptor(pTHX_ PerlIO *f)
{
    if (!*f)
        return -1;
    while ((*f)->next)
        f = &(*f)->next;
    if (S_is_unix(*f) ? ((*f)->flags & PERLIO_F_OPEN) != 0 : S_is_stdio(*f))
        return PerlIO_fileno(f);
    return -1;
}

/* What has been read and not been asked for yet is in both; what has not been written stays in the
 * host's alone. */
static void S_copy_buffer(PerlIOBuf *copy, const PerlIOBuf *b)
{
    if (b->buf && copy->base.flags & PERLIO_F_RDBUF) {
        const Size_t n = b->end - b->buf;

        Newx(copy->buf, b->bufsiz > n ? b->bufsiz : n, STDCHAR);
        Copy(b->buf, copy->buf, n, STDCHAR);
        copy->ptr = copy->buf + (b->ptr - b->buf);
        copy->end = copy->buf + n;
    }
    else {
        copy->buf = copy->ptr = copy->end = NULL;
        copy->base.flags &= ~(PERLIO_F_RDBUF | PERLIO_F_WRBUF);
    }
}

/* NULL: not of a kind that is known. */
static PerlIOl *S_copy_layer(pTHX_ PerlIOl *layer)
{
    PerlIO_funcs *const tab = layer->tab;
    PerlIOl *copy;
    const int is_encoding
        = tab && tab->size == sizeof(S_encoding) && strEQ(tab->name, "encoding");

    /* :perlio, and that into which perl puts what is given back (perlio.c, PerlIO_pending) */
    const int is_buffer = tab && tab->size == sizeof(PerlIOBuf)
                          && tab->Get_base == PerlIOBuf_get_base
                          && tab->Get_ptr == PerlIOBuf_get_ptr;

    if (!tab
        || (!S_is_unix(layer) && !is_buffer && !is_encoding
            && (tab != &PerlIO_crlf || tab->size != sizeof(S_crlf))))
        return NULL;
    copy = (PerlIOl *)safemalloc(tab->size);
    memcpy(copy, layer, tab->size);
    if (S_is_unix(layer))
        copy->tab = &S_guests_unix;
    else if (is_encoding) {
        /* a flush has left it empty: what was read is with the layer below */
        S_encoding *const e = (S_encoding *)copy;

        copy->flags &= ~(PERLIO_F_RDBUF | PERLIO_F_WRBUF);
        e->base.buf = e->base.ptr = e->base.end = NULL;
        e->bufsv = e->data = NULL;
        SvREFCNT_inc_simple_void(e->enc);
        SvREFCNT_inc_simple_void(e->chk);
    }
    else {
        const PerlIOBuf *const b = (PerlIOBuf *)layer;

        S_copy_buffer((PerlIOBuf *)copy, b);
        if (tab == &PerlIO_crlf && ((S_crlf *)layer)->nl)
            ((S_crlf *)copy)->nl = ((PerlIOBuf *)copy)->buf
                                       ? ((PerlIOBuf *)copy)->buf + (((S_crlf *)layer)->nl - b->buf)
                                       : NULL;
    }
    return copy;
}

static void S_lend_layer(struct aside *a, PerlIOl *layer)
{
    struct lent_layer *lent;

    Newx(lent, 1, struct lent_layer);
    lent->layer = layer;
    lent->was = *layer;
    lent->is_counted = S_is_stdio(layer);
    lent->is_clear = lent->is_counted && !ferror(S_file_of(layer)) && !feof(S_file_of(layer));
    a->counted += lent->is_counted;
    lent->next = a->lent;
    if (layer->tab) {
        lent->funcs = *layer->tab;
        lent->funcs.Popped = S_lent_popped;
        lent->funcs.Close = S_lent_close;
        lent->funcs.Dup = S_lent_dup;
        layer->tab = &lent->funcs;
    }
    a->lent = lent;
}
