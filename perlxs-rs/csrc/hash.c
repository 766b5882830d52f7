/* Hashes. */

SV *perlxs_hash_new(perlxs_interp *interp)
{
    dINTERP;
    SV *sv;

    ALLOCATING(sv = (SV *)newHV());
    return sv;
}

void perlxs_hash_append(perlxs_interp *interp, SV *sv, const perlxs_entry *entries, size_t n)
{
    dINTERP;
    HV *const hv = (HV *)sv;
    size_t i;

    ALLOCATING(for (i = 0; i < n; i++) {
        const perlxs_entry *const e = &entries[i];
        const I32 len = e->utf8 ? -(I32)e->len : (I32)e->len;

        /* what is replaced may have a destructor: perl frees it with its temporaries */
        if (e->value.kind == PERLXS_VALUE_SV && hv_exists(hv, e->key, len))
            (void)hv_delete(hv, e->key, len, 0);
        (void)hv_store(hv, e->key, len, S_new_value(aTHX_ & e->value), 0);
    });
}

struct next {
    SV *hv;
    perlxs_place *place;
    perlxs_pair *pairs;
    size_t n;
    char *room;
    size_t size;
    size_t used;
    size_t *got;
};

/* Whether an entry has been deleted since the iterator came to it: then it has no value. One of a
 * tied hash never has. */
static int S_is_deleted(pTHX_ HV *hv, const HE *entry)
{
    return (!HeVAL(entry) || HeVAL(entry) == &PL_sv_placeholder)
           && !(SvRMAGICAL(hv) && mg_find((SV *)hv, PERL_MAGIC_tied));
}

/* Whether there is room for one more, whose key is copied. */
PERL_STATIC_INLINE int S_has_room(struct next *x, const char *key, STRLEN len, int utf8)
{
    perlxs_pair *const out = &x->pairs[*x->got];

    if (*x->got == x->n || x->used + len > x->size) {
        x->place->waits = len + 1;
        return 0;
    }
    out->key = x->room + x->used;
    out->len = len;
    out->utf8 = utf8;
    Copy(key, x->room + x->used, len, char);
    x->used += len;
    return 1;
}

PERL_STATIC_INLINE void S_put_value(struct next *x, SV *value)
{
    x->pairs[(*x->got)++].value = SvREFCNT_inc_simple_NN(value);
}

/* By the hash's own iterator; who moves it meanwhile is told so. */
static void S_hash_next(pTHX_ void *arg)
{
    struct next *const x = (struct next *)arg;
    perlxs_place *const place = x->place;
    HV *const hv = (HV *)x->hv;
    HE *entry = (HE *)place->entry;

    if (!entry)
        hv_iterinit(hv);
    else if (HvEITER_get(hv) != entry)
        croak("somebody else has moved the iterator of this hash");
    if (!entry || !place->waits || S_is_deleted(aTHX_ hv, entry))
        entry = hv_iternext(hv);
    place->waits = 0;
    for (; entry; entry = hv_iternext(hv)) {
        STRLEN len;
        const char *const key = HePV(entry, len);

        if (!S_has_room(x, key, len, HeUTF8(entry) ? 1 : 0))
            break;
        S_put_value(x, hv_iterval(hv, entry));
    }
    place->entry = entry;
}

/* The same, of a hash that runs nothing. */
static void S_plain_next(pTHX_ struct next *x)
{
    perlxs_place *const place = x->place;
    HV *const hv = (HV *)x->hv;
    HE *entry = (HE *)place->entry;

    if (!entry)
        hv_iterinit(hv);
    if (!entry || !place->waits)
        entry = hv_iternext(hv);
    place->waits = 0;
    for (; entry; entry = hv_iternext(hv)) {
        if (!S_has_room(x, HeKEY(entry), (STRLEN)HeKLEN(entry), HeKUTF8(entry) ? 1 : 0))
            break;
        S_put_value(x, HeVAL(entry));
    }
    place->entry = entry;
}

#ifdef HvLASTRAND_get
#define S_HAS_GROWN(hv) (HvRAND_get(hv) != HvLASTRAND_get(hv))
#else
#define S_HAS_GROWN(hv) 0
#endif

/* Whether to go on through the hash runs nothing, and throws nothing but for want of memory. */
static int S_is_plain_next(pTHX_ HV *hv, const perlxs_place *place)
{
    /* it frees an entry that has been deleted, and warns of one that has been inserted */
    return !SvMAGICAL(hv) && !HvLAZYDEL(hv)
           && (!place->entry || (HvEITER_get(hv) == (HE *)place->entry && !S_HAS_GROWN(hv)));
}

int perlxs_hash_next(perlxs_interp *interp, SV *hv, perlxs_place *place, perlxs_pair *pairs,
                     size_t n, char *room, size_t size, size_t *got, SV **error)
{
    dINTERP;
    struct next x;

    x.hv = hv;
    x.place = place;
    x.pairs = pairs;
    x.n = n;
    x.room = room;
    x.size = size;
    x.used = 0;
    x.got = got;
    *got = 0;
    if (LIKELY(S_is_plain_next(aTHX_(HV *) hv, place))) {
        ALLOCATING(S_plain_next(aTHX_ & x));
        return PERLXS_OK;
    }
    return S_guard(aTHX_ S_hash_next, &x, error);
}

static void S_hash_len(pTHX_ void *arg)
{
    struct aggregate *const a = (struct aggregate *)arg;
    HV *const hv = (HV *)a->sv;

    *a->number = (size_t)hv_iterinit(hv);
    if (SvRMAGICAL(hv) && mg_find((SV *)hv, PERL_MAGIC_tied))
        for (*a->number = 0; hv_iternext(hv); ++*a->number)
            ;
}

int perlxs_hash_len(perlxs_interp *interp, SV *hv, size_t *out, SV **error)
{
    dINTERP;
    struct aggregate a;

    a.sv = hv;
    a.number = out;
    if (!SvMAGICAL(hv)) {
        *out = HvUSEDKEYS((HV *)hv);
        return PERLXS_OK;
    }
    return S_guard(aTHX_ S_hash_len, &a, error);
}

/* Whether to look for the key runs nothing, and throws nothing. */
static int S_is_plain_lookup(SV *hv, SV *key)
{
    return !SvMAGICAL(hv) && !SvREADONLY(hv) && SvPOK(key) && !SvROK(key) && !SvMAGICAL(key);
}

static void S_hash_get(pTHX_ void *arg)
{
    struct aggregate *const a = (struct aggregate *)arg;
    HE *const entry = hv_fetch_ent((HV *)a->sv, a->key, 0, 0);

    *a->out = entry ? SvREFCNT_inc_NN(HeVAL(entry)) : NULL;
}

int perlxs_hash_get(perlxs_interp *interp, SV *hv, SV *key, SV **out, SV **error)
{
    dINTERP;
    struct aggregate a;

    a.sv = hv;
    a.key = key;
    a.out = out;
    if (S_is_plain_lookup(hv, key)) {
        S_hash_get(aTHX_ &a);
        return PERLXS_OK;
    }
    return S_guard(aTHX_ S_hash_get, &a, error);
}

static void S_hash_set(pTHX_ void *arg)
{
    struct aggregate *const a = (struct aggregate *)arg;
    HE *const entry = hv_fetch_ent((HV *)a->sv, a->key, 1, 0);

    if (!entry)
        croak("Modification of a hash element that cannot be made");
    sv_setsv_mg(HeVAL(entry), a->value);
}

int perlxs_hash_set(perlxs_interp *interp, SV *hv, SV *key, SV *value, SV **error)
{
    dINTERP;
    struct aggregate a;

    a.sv = hv;
    a.key = key;
    a.value = value;
    return S_guard(aTHX_ S_hash_set, &a, error);
}

static void S_hash_exists(pTHX_ void *arg)
{
    struct aggregate *const a = (struct aggregate *)arg;
    *a->number = hv_exists_ent((HV *)a->sv, a->key, 0);
}

int perlxs_hash_exists(perlxs_interp *interp, SV *hv, SV *key, size_t *out, SV **error)
{
    dINTERP;
    struct aggregate a;

    a.sv = hv;
    a.key = key;
    a.number = out;
    return S_guard(aTHX_ S_hash_exists, &a, error);
}

static void S_hash_delete(pTHX_ void *arg)
{
    struct aggregate *const a = (struct aggregate *)arg;
    SV *const value = hv_delete_ent((HV *)a->sv, a->key, 0, 0);

    *a->out = SvREFCNT_inc(value);
}

int perlxs_hash_delete(perlxs_interp *interp, SV *hv, SV *key, SV **out, SV **error)
{
    dINTERP;
    struct aggregate a;

    a.sv = hv;
    a.key = key;
    a.out = out;
    return S_guard(aTHX_ S_hash_delete, &a, error);
}
