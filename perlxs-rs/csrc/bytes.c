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

int perlxs_sv_string(perlxs_interp *interp, SV *sv, int form, SV **out, SV **error)
{
    dINTERP;
    struct string s;

    /* Nothing to run; but where there is no memory for a copy perl exits, and a large one may lack
     * it. */
    if (SvPOK(sv) && !SvGMAGICAL(sv) && !SvROK(sv) && SvCUR(sv) < 65536) {
        SV *copy;
        int formed;

        ALLOCATING(copy = newSVpvn_flags(SvPVX_const(sv), SvCUR(sv), SvUTF8(sv) ? SVf_UTF8 : 0);
                   formed = S_form(aTHX_ copy, form));
        if (formed) {
            *out = copy;
            return PERLXS_OK;
        }
        SvREFCNT_dec_NN(copy);
    }
    s.sv = sv;
    s.form = form;
    s.out = out;
    return S_guard(aTHX_ S_string, &s, error);
}

const char *perlxs_sv_buffer(perlxs_interp *interp, SV *sv, size_t *len)
{
    dINTERP;
    *len = SvCUR(sv);
    return SvPVX_const(sv);
}
