/* The strings of scalars. */

struct string {
    SV *sv;
    int form;
    SV **out;
};

/* Gives a string of ours the form. 0 if it cannot have it. */
static int S_form(pTHX_ SV *copy, int form)
{
    if (form == PERLXS_STRING_UTF8)
        sv_utf8_upgrade(copy);
    return form != PERLXS_STRING_BYTES || sv_utf8_downgrade(copy, TRUE);
}

static void S_string(pTHX_ void *arg)
{
    struct string *const s = (struct string *)arg;
    SV *sv = s->sv;
    STRLEN len;
    const char *p;
    SV *copy;

    *s->out = NULL;
    SvGETMAGIC(sv);
    if (s->form == PERLXS_STRING_NAME) {
        sv = S_converted(aTHX_ sv, string_amg);
        if (SvROK(sv) || isGV_with_GP(sv))
            return;
    }
    if (!SvOK(sv) && !isGV_with_GP(sv))
        return;
    p = SvPV_nomg_const(sv, len);
    copy = newSVpvn_flags(p, len, SVs_TEMP | (SvUTF8(sv) ? SVf_UTF8 : 0));
    if (!S_form(aTHX_ copy, s->form))
        croak("Wide character in a string of bytes");
    *s->out = SvREFCNT_inc_simple_NN(copy);
}

static int S_is_ascii(const char *p, size_t len)
{
    const char *const end = p + len;

    for (; end - p >= (ptrdiff_t)sizeof(uint64_t); p += sizeof(uint64_t)) {
        uint64_t word;

        Copy(p, &word, sizeof word, char);
        if (word & UINT64_C(0x8080808080808080))
            return 0;
    }
    for (; p < end; p++)
        if (*p & 0x80)
            return 0;
    return 1;
}

PERL_STATIC_INLINE int S_string_of(pTHX_ SV *sv, int form, const char **p, size_t *len, SV **owner,
                                   SV **error)
{
    struct string s;
    int status = PERLXS_OK;

    *owner = NULL;
    if (LIKELY(SvPOK(sv) && !SvGMAGICAL(sv) && !SvROK(sv))) {
        *p = SvPVX_const(sv);
        *len = SvCUR(sv);
        if (form == PERLXS_STRING_NAME || !SvUTF8(sv) == (form == PERLXS_STRING_BYTES)
            || S_is_ascii(*p, *len))
            return PERLXS_OK;
    }
    else if (!SvOK(sv) && !SvGMAGICAL(sv) && !isGV_with_GP(sv)) {
        *p = NULL;
        *len = 0;
        return PERLXS_OK;
    }
    s.sv = sv;
    s.form = form;
    s.out = owner;
    status = S_guard(aTHX_ S_string, &s, error);
    *p = *owner ? SvPVX_const(*owner) : NULL;
    *len = *owner ? SvCUR(*owner) : 0;
    return status;
}

int perlxs_sv_string(perlxs_interp *interp, SV *sv, int form, const char **p, size_t *len,
                     SV **owner, SV **error)
{
    dINTERP;
    return S_string_of(aTHX_ sv, form, p, len, owner, error);
}

/* Lends the string of a scalar, which is its own: whatever becomes of the scalar, its buffer stays
 * as it is. */
static size_t S_lend_string(pTHX_ perlxs_interp *interp, SV *sv)
{
    size_t place = 0;

    while (place < interp->places && interp->lent[place].sv)
        place++;
    if (UNLIKELY(place == interp->places)) {
        volatile size_t places = place ? 2 * place : 8;

        ALLOCATING(Renew(interp->lent, places, struct perlxs_lent);
                   Zero(interp->lent + place, places - place, struct perlxs_lent));
        interp->places = places;
    }
    /* memory that is not perl's: only its owner knows for how long it is there */
    if (UNLIKELY(!SvLEN(sv) && !SvIsCOW(sv))) {
        ALLOCATING(interp->lent[place].sv = newSVpvn(SvPVX_const(sv), SvCUR(sv)));
        interp->lent[place].is_ours = 1;
    }
    else {
        interp->lent[place].sv = SvREFCNT_inc_simple_NN(sv);
        interp->lent[place].is_ours = 0;
        interp->exposed++;
    }
    return place;
}

int perlxs_sv_borrow(perlxs_interp *interp, SV *sv, int form, perlxs_string *out, SV **owner,
                     SV **error)
{
    dINTERP;
    const int status = S_string_of(aTHX_ sv, form, &out->p, &out->len, owner, error);

    if (status == PERLXS_OK && out->p && !*owner) {
        out->place = S_lend_string(aTHX_ interp, sv);
        out->p = SvPVX_const(interp->lent[out->place].sv);
    }
    return status;
}

void perlxs_give_back(perlxs_interp *interp, size_t place)
{
    dINTERP;
    struct perlxs_lent *const lent = &interp->lent[place];
    SV *const sv = lent->sv;

    if (!lent->is_ours)
        interp->exposed--;
    lent->sv = NULL;
    S_dec_later(aTHX_ sv);
}
