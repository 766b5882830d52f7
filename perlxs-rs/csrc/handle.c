/* Handles. */

struct handle {
    SV *sv;
    int *is_handle;
    int *fd;
};

/* As pp_fileno: a tied handle is asked by its FILENO. */
static int S_handle_fileno(pTHX_ IO *io)
{
    const MAGIC *mg;

    if (SvRMAGICAL(io) && (mg = mg_find((SV *)io, PERL_MAGIC_tiedscalar))) {
        SV *result;
        int fd;
        dSP;

        ENTER;
        SAVETMPS;
        PUSHMARK(SP);
        XPUSHs(SvTIED_obj((SV *)io, mg));
        PUTBACK;
        call_method("FILENO", G_SCALAR);
        SPAGAIN;
        result = POPs;
        PUTBACK;
        SvGETMAGIC(result);
        fd = SvOK(result) ? (int)SvIV_nomg(result) : -1;
        FREETMPS;
        LEAVE;
        return fd;
    }
    if (IoDIRP(io))
        return dirfd(IoDIRP(io));
    return IoIFP(io) ? PerlIO_fileno(IoIFP(io)) : -1;
}

static void S_fileno(pTHX_ void *arg)
{
    struct handle *const h = (struct handle *)arg;
    SV *sv = h->sv;
    IO *io = NULL;

    SvGETMAGIC(sv);
    if (SvROK(sv)) {
        if (SvAMAGIC(sv))
            sv = amagic_deref_call(sv, to_gv_amg);
        sv = SvRV(sv);
    }
    *h->is_handle = 1;
    if (SvTYPE(sv) == SVt_PVIO)
        io = (IO *)sv;
    else if (isGV_with_GP(sv))
        io = GvIO((GV *)sv);
    else {
        GV *gv = NULL;

        if (sv == h->sv && SvPOK(sv) && SvCUR(sv) > 0 && !looks_like_number(sv))
            gv = gv_fetchsv_nomg(sv, 0, SVt_PVIO);
        if (gv && isGV_with_GP(gv))
            io = GvIO(gv);
        *h->is_handle = io != NULL;
    }
    *h->fd = io ? S_handle_fileno(aTHX_ io) : -1;
}

int perlxs_sv_fileno(perlxs_interp *interp, SV *sv, int *is_handle, int *fd, SV **error)
{
    dINTERP;
    struct handle h;

    h.sv = sv;
    h.is_handle = is_handle;
    h.fd = fd;
    return S_guard(aTHX_ S_fileno, &h, error);
}
