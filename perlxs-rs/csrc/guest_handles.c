/* What PerlIO has of a guest's handles.
 *
 * Each handle that is open when a guest begins gets layers for the guest, in the slot of PerlIO's
 * table that perl's structs point to; those of its host are set aside, and come back as they were,
 * with what nobody has read yet. So nothing that the guest does to a handle reaches them, and no
 * number is asked whose a handle is. A slot that the guest closes stays taken while it runs: what
 * it opens is somewhere else. */

static void S_lend(pTHX_ struct aside *a, PerlIO *file)
{
    PerlIOl *layer = *file;
    PerlIOl *next;
    PerlIO *to = file;

    a->file = file;
    a->layers = layer;
    a->locks = ((PerlIOl *)file)->flags;
    a->fd = S_descriptor(aTHX_ file);
    a->counted = 0;
    a->closed = 0;
    a->lent = NULL;
    ((PerlIOl *)file)->flags = 0;
    for (; layer; layer = next) {
        PerlIOl *const copy = S_copy_layer(aTHX_ layer);

        next = layer->next;
        if (!copy)
            S_lend_layer(a, layer);
        else if (S_is_unix(layer) && layer->flags & PERLIO_F_OPEN)
            a->counted++;
        *to = copy ? copy : layer;
        to = &(*to)->next;
    }
    *to = NULL;
}

/* Whether a slot of PerlIO's table has a handle: those of earlier guests have none. */
static int S_is_open(const PerlIOl *slot)
{
    const PerlIOl *layer = slot->next;

    while (layer && layer->next)
        layer = layer->next;
    return layer && layer->tab != &S_gone && layer->tab != &S_taken;
}

/* Sets aside what there is, for a guest that has a table of descriptors of its own. */
static void S_set_handles_aside(pTHX_ perlxs_shared *s)
{
    PerlIOl *table;
    size_t n = 0;
    int i;

    S_init_layers(aTHX);
    FOR_EACH_SLOT (table, i)
        n += S_is_open(&table[i]);
    Newx(s->aside, n, struct aside);
    s->naside = 0;
    FOR_EACH_SLOT (table, i)
        if (S_is_open(&table[i])) {
            S_lend(aTHX_ &s->aside[s->naside], (PerlIO *)&table[i]);
            s->naside++;
        }
    s->nfreed = 0;
}

/* PerlIO's count for each descriptor has the guest's layers: it gets the host's. */
static void S_count_back(pTHX_ struct aside *a)
{
    PerlIO *f;
    int owed = a->counted;

    for (f = a->file; *f; f = PerlIONext(f)) {
        const struct lent_layer *const lent = S_lent(a, *f);
        int fd = -1;

        if (lent ? lent->is_counted : S_is_stdio(*f))
            fd = lent ? a->fd : PerlIO_fileno(f);
        else if (S_is_unix(*f) && (*f)->flags & PERLIO_F_OPEN)
            fd = PerlIO_fileno(f);
        if (fd == a->fd && owed > 0)
            owed--;
        else if (fd != -1)
            PerlIOUnix_refcnt_dec(fd);
    }
    while (owed-- > 0)
        PerlIOUnix_refcnt_inc(a->fd);
}

/* What is in the buffer of a layer that was lent is the guest's, if there was nothing. */
static void S_empty_layer(const struct lent_layer *lent)
{
    PerlIOl *const layer = lent->layer;

    if (S_is_stdio(layer)) {
        if (lent->is_clear)
            clearerr(S_file_of(layer));
        if (__fpending(S_file_of(layer)) > 0)
            __fpurge(S_file_of(layer));
    }
    else if (layer->tab && layer->tab->Get_ptr == PerlIOBuf_get_ptr && layer->flags & PERLIO_F_WRBUF
             && !(lent->was.flags & PERLIO_F_WRBUF)) {
        PerlIOBuf *const b = (PerlIOBuf *)layer;

        b->ptr = b->end = b->buf;
    }
}

static void S_take_back(pTHX_ struct aside *a)
{
    PerlIOl *const slot = (PerlIOl *)a->file;
    PerlIOl **last = &a->guests.next;
    PerlIOl *layer;

    S_count_back(aTHX_ a);
    a->closed = slot->next == &a->taken;
    Zero(&a->guests, 1, PerlIOl);
    a->guests.head = &a->guests;
    for (layer = slot->next; layer; layer = layer->next)
        if (layer != &a->taken && !S_lent(a, layer)) {
            if (S_is_unix(layer))
                layer->flags &= ~PERLIO_F_OPEN; /* should it outlive what follows */
            layer->head = &a->guests;
            *last = layer;
            last = &layer->next;
        }
    *last = NULL;
    while (a->lent) {
        struct lent_layer *const lent = a->lent;

        lent->layer->tab = lent->was.tab;
        lent->layer->next = lent->was.next;
        S_empty_layer(lent);
        lent->layer->flags = lent->was.flags;
        lent->layer->err = lent->was.err;
        a->lent = lent->next;
        Safefree(lent);
    }
    slot->next = a->layers;
    /* a guest that dies of a signal in a read leaves it in use, until that is unwound */
    slot->flags = a->locks + (a->closed ? 0 : slot->flags);
}

/* A handle that the guest has opened: its descriptor is the guest's, and here the number may be
 * another thread's file, or become one. So it loses it. */
static void S_disown(pTHX_ PerlIO *file)
{
    const int fd = S_descriptor(aTHX_ file);
    PerlIOl *layer = *file;

    if (fd == -1)
        return;
    PerlIOUnix_refcnt_dec(fd);
    for (;; layer = layer->next) {
        layer->flags &= ~(PERLIO_F_CANREAD | PERLIO_F_CANWRITE | PERLIO_F_RDBUF | PERLIO_F_WRBUF);
        if (S_is_stdio(layer))
            __fpurge(S_file_of(layer));
        if (!layer->next)
            break;
    }
    layer->tab = &S_gone;
}

static void S_take_handles_back(pTHX_ perlxs_shared *s)
{
    PerlIOl *table;
    size_t n = 0;
    int i;

    FOR_EACH_SLOT (table, i) {
        PerlIO *const file = (PerlIO *)&table[i];

        if (n == s->naside || s->aside[n].file != file)
            S_disown(aTHX_ file);
        else
            S_take_back(aTHX_ &s->aside[n++]);
    }
}

/* Frees the layers of a guest's, which may have more than it was lent. What it has not written
 * stays unwritten. */
static void S_free_layers(pTHX_ PerlIOl *head)
{
    PerlIO *const f = (PerlIO *)head;

    head->flags = 0;
    while (*f) {
        PerlIOl *const layer = *f;

        if (S_is_stdio(layer)) /* else the C library writes it at exit */
            __fpurge(S_file_of(layer));
        if (layer->tab == &S_guests_unix) {
            head->next = layer->next;
            Safefree(layer);
            continue;
        }
        PerlIO_pop(aTHX_ f); /* a module's may throw */
        if (head->next == layer) /* it has said that it is still needed */
            head->next = layer->next;
    }
}

/* What is on the guest's savestack may use its layers: so they are freed when that is unwound.
 * Takes up where it was interrupted. */
static void S_free_guests_layers(pTHX_ perlxs_shared *s)
{
    while (s->nfreed < s->naside) {
        struct aside *const a = &s->aside[s->nfreed++];
        PerlIOl *const slot = (PerlIOl *)a->file;

        if (slot->next == a->layers)
            slot->flags = a->locks;
        S_free_layers(aTHX_ &a->guests);
    }
}
