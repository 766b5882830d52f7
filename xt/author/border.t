# The border, as it is compiled: Rust calls nothing of perl, and what Rust calls of the shim cannot
# throw. The latter is read from the shim's object code, in which perl's macros are expanded: no
# call that may throw is reached but from within a jump frame.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use AuthorTest;
use Config;
use File::Temp ();

my $top  = top();
my $csrc = "$top/perlxs-rs/csrc";
my $dir  = File::Temp::tempdir(CLEANUP => 1);

# ---- what may be called where nothing may be thrown ----

# Functions of perl that throw nothing and run no perl code.
my %never = map { $_ => 1 } (
    qw(Perl_block_gimme Perl_gimme_V Perl_dowantarray Perl_mg_find Perl_mg_findext Perl_whichsig_pvn),    # look at something
    qw(Perl_isinfnan Perl_av_len Perl_sv_2num Perl_looks_like_number Perl_hv_placeholders_get),
    'Perl_av_fetch',             # of an array without magic: the callers see to that
    qw(Perl_atfork_lock Perl_atfork_unlock Perl_safesysfree),
    qw(Perl_sv_reftype),
);
# Those that throw only where there is no memory. They belong into ALLOCATING.
my %allocates = map { $_ => 1 } (
    qw(Perl_newSV Perl_savepvn Perl_newSViv Perl_newSVuv Perl_newSVnv Perl_newSVpvn Perl_newSVhek Perl_newSVpvn_flags Perl_newSV_type Perl_newRV Perl_newRV_noinc),
    qw(Perl_sv_2mortal Perl_new_stackinfo Perl_stack_grow Perl_push_scope Perl_savetmps Perl_save_destructor_x Perl_call_atexit Perl_my_cxt_init Perl_sv_newmortal Perl_av_extend Perl_croak_memory_wrap Perl_safesysmalloc Perl_safesyscalloc Perl_safesysrealloc),
    # of plain values and new aggregates only: the callers see to that
    qw(Perl_newSVsv_flags Perl_newSVsv Perl_av_push Perl_hv_common Perl_sv_utf8_upgrade_flags_grow Perl_sv_utf8_downgrade Perl_sv_utf8_downgrade_flags),
);
# Of the C library and the compiler.
my $libc = qr/^(?:abort|dladdr|dlopen|feof|ferror|close|closedir|dirfd|dup3|f?open(?:64)?|fcntl(?:64)?|kill|mem\w+|prctl|sig\w+|__libc_current_sig\w+|__sigsetjmp|_setjmp|str\w+|syscall|tzset|write|_exit|__errno_location
    |pthread_\w+|__assert_fail|__stack_chk_fail|__tls_get_addr|_GLOBAL_OFFSET_TABLE_|__(?:sync|atomic)_\w+)$/x;

# What else may be called, from which of our functions, and why nothing is thrown there.
my %because = (
    S_ask            => { map { $_ => 'what is no reference, without magic, if it is not guarded' } qw(Perl_mg_get Perl_sv_2bool_flags) },
    S_deref          => { map { $_ => 'the same' } qw(Perl_mg_get Perl_amagic_deref_call) },
    S_form_of        => { Perl_mg_get => 'the same' },
    S_object_payload => { Perl_mg_get => 'the same' },
    perlxs_closure_new => { Perl_newXS => 'a sub without a name needs memory only', Perl_sv_magicext => 'the same' },
    S_hash_get       => { Perl_hv_common => 'a plain hash and key: S_is_plain_lookup' },
    S_save_signals   => { Perl_get_hv => '%SIG is there' },
    S_signals_differ => { Perl_get_hv => '%SIG is there' },
    S_restore_signals => { Perl_get_hv => '%SIG is there', Perl_sv_setsv_flags => 'not read-only, and what was in it is kept' },
    S_content        => { Perl_sv_setsv_flags => 'a new scalar' },
    perlxs_interp_of => { Perl_save_destructor_x => 'needs memory only; where a jump frame of this perl is, is not known' },
    S_lock_ours      => { Perl_croak_popstack => 'what has just been pushed' },
    perlxs_fork      => { Perl_my_fork => 'fork(3)', Perl_croak_nocontext => 'a lock that is broken' },
    perlxs_fork_lock => { Perl_croak_nocontext => 'the same' },
    perlxs_fork_unlock  => { Perl_croak_nocontext => 'the same' },
    perlxs_shared_begin => { Perl_croak_nocontext => 'a lock that is broken' },
    S_shared_end     => { Perl_croak_nocontext => 'the same' },
    S_file_of        => { PerlIO_findFILE => 'a layer of :stdio, which has one' },
    S_weak           => { Perl_sv_rvweaken => 'a reference that is new, and not weak yet' },
    S_part_handles   => { Perl_av_store => 'an array of ours' },
    S_note_io        => { Perl_sv_magicext => 'needs memory only' },
    S_init_layers    => { Perl_croak_nocontext => 'a lock that is broken' },
    S_descriptor     => { Perl_PerlIO_fileno => "perl's own lowest layers, which know it" },
    S_dec_later      => { Perl_sv_free2 => 'runs nothing: S_is_plain_dec' },
    S_hook_signals   => { Perl_croak_nocontext => 'a lock that is broken' },
    S_drop           => { Perl_sv_free2 => 'the same' },
    S_plain_class    => { Perl_gv_stashpvn => 'a plain name, of one that is there or not' },
    S_new_object     => { Perl_sv_bless => 'a new one: S_plain_class', Perl_sv_magicext => 'needs memory only', Perl_sv_free2 => 'a reference to what another keeps' },
    S_plain_number   => { Perl_grok_number => 'looks at a string' },
    perlxs_sv_set    => { Perl_sv_setsv_flags => 'plain scalars: S_is_plain_set' },
    perlxs_call_return_string => { Perl_sv_setpvn => 'a target, which nothing refuses', Perl_mg_set => 'it has no magic but that of taint' },
    perlxs_hash_append => { Perl_hv_common_key_len => 'a new hash' },
    S_plain_next     => { Perl_hv_iterinit => 'a plain hash: S_is_plain_next', Perl_hv_iternext_flags => 'the same' },
);

# ---- the shim's object code ----

my %used;
my ($cc)     = split ' ', $ENV{CC} // $Config{cc};
my $perl_inc = "$Config{archlibexp}/CORE";

# The lines of a source that are within a jump frame: 'frame', or 'memory' in ALLOCATING.
sub protected {
    my ($source) = @_;
    my %protected;
    my @lines = split /\n/, $source;
    my ($frame, $depth) = (0, 0);
    for my $i (0 .. $#lines) {
        my $line = $lines[$i] =~ s{/\*.*?\*/}{}gr;
        next if $line =~ /\\$/;    # a macro's definition
        if (!$depth && $line =~ /\bALLOCATING\((.*)/) { $depth = 1; $line = $1 }
        elsif (!$depth) { $line = $line =~ /\bJMPENV_(?:PUSH|POP)\b/ ? $line : '' }
        if ($depth) {
            $protected{ $i + 1 } = 'memory';
            for my $char ($line =~ /[()]/g) { $depth += $char eq '(' ? 1 : -1; last if !$depth }
            next;
        }
        $frame = 1 if $line =~ /\bJMPENV_PUSH\b/;
        $frame = 0 if $line =~ /\bJMPENV_POP\b/;
        $frame = 0 if $lines[$i] eq '}';
        $protected{ $i + 1 } = 'frame' if $frame;
    }
    return \%protected;
}

# The calls of each function in the object code of this source: lists of [callee, line].
sub calls {
    my ($name, $source) = @_;
    spew("$dir/$name.c", $source);
    my @flags = grep { !/^-O/ } split ' ', $Config{ccflags};
    my ($status, $output) = run($dir, $cc, @flags, qw(-DPERLXS_PROCESS -O0 -g -fno-inline -fno-jump-tables -w), "-I$csrc", "-I$perl_inc", '-c', "$name.c", '-o', "$name.o");
    BAIL_OUT("$cc: $output") if $status;
    my %calls;
    my ($function, $line, $pending);
    ($status, $output) = run($dir, qw(objdump -dlr --no-show-raw-insn), "$name.o");
    BAIL_OUT("objdump: $output") if $status;
    for (split /\n/, $output) {
        if (/^[0-9a-f]+ <([\w.]+)>:$/) { $function = $1; $calls{$function} = []; undef $line; next }
        if (m{/\Q$name\E\.c:(\d+)})    { $line = $1; next }
        if (/^\s+[0-9a-f]+:\s+(?:callq?|jmpq?|bl|b)\s+\*|\s(?:blr|br)\s/) { push @{ $calls{$function} }, [ 'a pointer', $line ]; next }
        if (my ($callee, $offset) = /^\s+[0-9a-f]+:\s+(?:callq?|bl)\s+\S+ <([\w.]+)(\+0x[0-9a-f]+)?>/) {
            push @{ $calls{$function} }, [ $callee, $line ] if !$offset;
            $pending = 1;
            next;
        }
        # what is not known before the library is linked
        push @{ $calls{$function} }, [ $1, $line ] if $pending && /^\s+[0-9a-f]+: R_\w+\s+([\w.]+?)(?:[-+]0x[0-9a-f]+)?$/ && $1 !~ /^\./;
        undef $pending;
    }
    return \%calls;
}

# What may be thrown out of a function that Rust calls: lines of text.
sub leaks_of {
    my ($name, $source) = @_;
    my ($calls, $protected) = (calls($name, $source), protected($source));
    my @lines = split /\n/, $source;
    my %leaks;
    my $look;
    my %seen;
    $look = sub {
        my ($function, $mode, @path) = @_;
        return if $seen{"$function $mode"}++;
        for my $call (@{ $calls->{$function} }) {
            my ($callee, $line) = @$call;
            my $how = defined $line && $protected->{$line} ? $protected->{$line} : $mode;
            next if $how eq 'frame';
            next if $never{$callee} || $callee =~ $libc || $how eq 'memory' && $allocates{$callee};
            if (my ($one) = grep { $because{$_}{$callee} } @path, $function) { $used{"$one $callee"} = 1; next }
            if ($calls->{$callee}) { $look->($callee, $how, @path, $function); next }
            $leaks{ join ' > ', @path, $function, $callee } = $lines[ ($line // 0) - 1 ];
        }
    };
    for my $function (sort grep { /^perlxs_/ } keys %$calls) { %seen = (); $look->($function, '') }
    return sort map { "$_: " . ($leaks{$_} // '') =~ s/^\s+//r } keys %leaks;
}

# The rooms of the shim, as the compiler reads them.
my $shim = slurp("$csrc/shim.c") =~ s/^#include "(\w+\.[ch])"$/$1 eq 'shim.h' || ! -e "$csrc\/$1" ? $& : slurp("$csrc\/$1")/gemr;
my %room = map { $_ => slurp("$csrc/$_") =~ tr/\n// } grep { /\.[ch]$/ } files($csrc);
is_deeply [ grep { $room{$_} >= 500 } sort keys %room ], [], 'each room of the shim has less than 500 lines';
my @included = grep { $_ ne 'shim.h' && $room{$_} } slurp("$csrc/shim.c") =~ /^#include "(.+)"$/mg;
is_deeply [ sort grep { !/^shim\./ } keys %room ], [ sort @included ], 'and is a part of it';
# guest_signals.c is a part of guest.c's room
my @rooms = map { /^(\w+)\.c$/ ? $1 : () } grep { !/_/ } @included;
is_deeply [ slurp("$csrc/shim.h") =~ m{^/\* ---- (.*) ---- \*/$}mg ], \@rooms, 'shim.h has a section for each';
is_deeply [ grep { !-e "$top/perlxs-rs/src/$_.rs" } @rooms ], [], 'src/ has a file for each';
is_deeply [ grep { /^(\w+?)_/ && !$room{"$1.c"} } sort keys %room ], [], 'each part has its room';
is join("\n", leaks_of('shim', $shim)), '', 'nothing is thrown out of what Rust calls';
is_deeply [ grep { !$used{$_} } map { my $f = $_; map { "$f $_" } keys %{ $because{$f} } } sort keys %because ], [], 'each exception is needed';

# That it would be seen: each of these changes lets something be thrown.
for (
    [ 'a guard is left out',  'return S_guard(aTHX_ S_set, &s, error);', 'S_set(aTHX_ &s); return 0;', qr/^perlxs_sv_set > S_set > Perl_sv_setsv/ ],
    [ 'no jump frame',        'ALLOCATING(sv = S_new_value(aTHX_ value));', 'sv = S_new_value(aTHX_ value);', qr/^perlxs_sv_new > S_new_value > Perl_newSViv/ ],
    [ 'more than allocating', 'newRV_inc(referent));', 'newRV_inc(referent); SvGETMAGIC(sv));', qr/^perlxs_ref_new > Perl_mg_get/ ],
    [ 'a destructor',         '        *len = SvCUR(sv);', '        SvREFCNT_dec(sv);', qr/^perlxs_sv_string > .*Perl_sv_free2/ ],
    [ 'after the frame',      "    JMPENV_POP;\n    return status;", "    JMPENV_POP;\n    my_exit(1);", qr/^perlxs_main_end > Perl_my_exit/ ],
    [ 'before it',            '    left.on_exit = on_exit;', '    croak("x");', qr/^perlxs_main_run > .*Perl_croak/ ],
    [ 'deeper',               '    switch (a->question) {', "    sv_setiv(sv, 1);\n    switch (a->question) {", qr/^perlxs_sv_ask > S_ask > Perl_sv_setiv/ ],
    [ 'by a pointer',         '    return sv == &PL_sv_undef;', '    return PL_ppaddr[0](aTHX) != NULL;', qr/^perlxs_sv_is_undef_constant > a pointer/ ],
) {
    my ($name, $from, $to, $expected) = @$_;
    my $changed = $shim;
    my $times = $changed =~ s/\Q$from\E/$to/;
    is $times, 1, "$name: changed" or next;
    my @leaks = leaks_of('changed', $changed);
    ok scalar(grep { /$expected/ } @leaks), 'is seen' or diag "@leaks";
}

# ---- Rust ----

# The functions that blocks of `extern` in this source declare.
sub declared {
    my ($source) = @_;
    my @functions;
    push @functions, $1 =~ /\bfn (\w+)/g while $source =~ /\bextern(?: "[\w-]+")? \{(.*?)^\s*\}/msg;
    return @functions;
}
is_deeply [ declared("unsafe extern \"C\" {\n    pub fn Perl_croak();\n}\nextern {\n fn perlxs_x();\n}\n") ], [qw(Perl_croak perlxs_x)], 'declarations are seen';
my %declared;
for my $file (grep { /\.rs$/ } tracked()) {
    $declared{$_} = $file for declared(slurp("$top/$file"));
}

# What a side of the mirror says, in its order: sections, of each its constants with their values
# and its structs, then its functions.
sub side {
    my ($text, $section, $type, $function) = @_;
    my @side;
    my @sections = split $section, $text;
    while (my ($name, $body) = splice @sections, 1, 2) {
        my @types;
        push @types, defined $2 ? "$1 = $2" : "struct " . lc $3 while $body =~ /$type/g;
        push @side, "-- $name", @types, $body =~ /$function/g;
    }
    return @side;
}

# Where ffi.rs is no mirror of shim.h: '', or the first line that differs.
sub differs {
    my ($header, $ffi) = @_;
    my @ffi = side($ffi, qr{^// ---- (.*) ----$}m, qr/^pub (?:const (\w+): \w+ = (\w+);|struct (\w+))/m, qr/^    pub fn (\w+)/m);
    my %ffi = map { $_ => 1 } @ffi, map { /^(\w+) = / } @ffi;
    # Rust needs not all of the constants
    my @header = grep { !/^(\w+) = / || $ffi{$1} }
        side($header, qr{^/\* ---- (.*) ---- \*/$}m, qr/^(?:#define PERLXS_(\w+) (\d+)\b|(?:typedef )?struct perlxs_(\w+) \{)/m, qr/^[a-zA-Z][\w \*]*?\b(perlxs_\w+)\(/m);
    for my $i (0 .. ($#ffi > $#header ? $#ffi : $#header)) {
        my ($rust, $c) = map { $_ // 'nothing' } $ffi[$i], $header[$i];
        return "ffi.rs has $rust, shim.h $c" if $rust ne $c;
    }
    return '';
}
my $header = slurp("$csrc/shim.h") =~ s{/\*(?! ----).*?\*/}{}gsr;
my $ffi    = slurp("$top/perlxs-rs/src/ffi.rs");
is differs($header, $ffi), '', 'ffi.rs has what shim.h has, in its order';
for (
    [ 'a function elsewhere', qr/(^    pub fn perlxs_sv_inc\(.*?;\n)(.*?;\n)/ms, sub { $2 . $1 }, 'ffi.rs has perlxs_sv_dec, shim.h perlxs_sv_inc' ],
    [ 'one that is missing',  qr/^    pub fn perlxs_taint_env.*?;\n/ms,      sub { '' },      'ffi.rs has -- syscall, shim.h perlxs_taint_env' ],
    [ 'another value',        qr/(?<=^pub const CALL_METHOD: c_int = )2/m,   sub { 4 },       'ffi.rs has CALL_METHOD = 4, shim.h CALL_METHOD = 2' ],
    [ 'a struct elsewhere',   qr/^#\[repr\(C\)\]\npub struct Constant.*?^}\n(.*?^}\n)/ms, sub { $1 }, 'ffi.rs has struct module, shim.h struct constant' ],
) {
    my ($name, $from, $to, $expected) = @$_;
    my $changed = $ffi;
    is $changed =~ s/$from/$to->()/e, 1, "$name: changed";
    is differs($header, $changed), $expected, 'is seen';
}
is_deeply [ grep { /^(?:perl|Perl_|PL_|sv_|newSV|boot_)/ && $declared{$_} ne 'perlxs-rs/src/ffi.rs' } sort keys %declared ], [], 'and nobody else anything of perl';

# What objects that are not the shim's want of others.
sub wanted {
    my (@objects) = @_;
    my %wanted;
    for my $object (@objects) {
        for (split /\n/, runs("nm $object", $dir, qw(nm -A -u), $object)) {
            next if /shim\.o:/;
            $wanted{$1}++ if / [Uw] (\w+)/;
        }
    }
    return sort keys %wanted;
}
my $perl = qr/^(?:perl_|Perl_|PL_|PerlIO|boot_)/;
my @target = ('--target-dir', "$dir/target");
runs('cargo build', { PERL => $^X }, $top, qw(cargo build --locked --quiet), @target);
runs('the objects', { PERL => $^X }, $top, qw(cargo rustc --locked --quiet --lib), @target, qw(-- --emit=obj));
my @libraries = glob "$dir/target/debug/deps/libperlxs-*.rlib";
my @objects = glob "$dir/target/debug/deps/linux_clone*.o";
ok @libraries && @objects, 'there are objects';
my @wanted = wanted(@libraries, @objects);
is_deeply [ grep { /$perl/ } @wanted ], [], 'Rust calls nothing of perl';
is_deeply [ grep { /^perlxs_/ && !$declared{$_} } @wanted ], [], 'but the shim';
cmp_ok scalar(grep { /^perlxs_/ } @wanted), '>', 50, 'which it does call';
done_testing;
