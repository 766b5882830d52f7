# What Makefile.PL, make and cargo promise, tried in a copy of the checkout.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use AuthorTest;
use Config;
use File::Temp ();
use Time::HiRes ();

my $copy    = copy_checkout();
my $library = "$copy/blib/arch/auto/Linux/Clone/Clone.so";
my $load    = 'use Linux::Clone; print Linux::Clone::unshare(0), "\n"';

sub makefile_pl { return runs('perl Makefile.PL', $copy, $^X, 'Makefile.PL', @_) }

# ---- the toolchain ----

# A directory for PATH with these commands of ours in it; text is a script's.
sub path_of {
    my (%scripts) = @_;
    my $dir = File::Temp::tempdir(CLEANUP => 1);
    for my $command (qw(cargo rustc cc)) {
        if (exists $scripts{$command}) {
            spew("$dir/$command", "#!/bin/sh\n$scripts{$command}\n", 0755) if defined $scripts{$command};
        }
        else {
            my ($found) = grep { -x } map { "$_/$command" } split /:/, $ENV{PATH};
            symlink $found, "$dir/$command" or die "$command: $!";
        }
    }
    return $dir;
}

# A module that changes one thing about the perl that runs. Returns the environment that loads it.
sub perl_with {
    my ($code) = @_;
    my $dir = File::Temp::tempdir(CLEANUP => 1);
    spew("$dir/Changed.pm", "$code\n1;\n");
    return { PERL5LIB => $dir, PERL5OPT => '-MChanged' };
}

my $no_headers = perl_with('use Config; my %c = %Config; untie %Config::Config; %Config::Config = (%c, archlibexp => "/nowhere");');
my $no_modules = perl_with('unshift @INC, sub { die "hidden\n" if $_[1] eq "ExtUtils/MakeMaker.pm" };');

my @sources = files($copy);
runs('cargo, rustc, cc and perl are all that Makefile.PL asks for', { PATH => path_of() }, $copy, $^X, 'Makefile.PL');
unlink "$copy/Makefile";
for (
    [ 'no cargo',       { PATH => path_of(cargo => undef) },                qr/^  cargo 1\.85 .*Debian\b.*: cargo; Fedora: cargo;/m ],
    [ 'no rustc',       { PATH => path_of(rustc => undef) },                qr/^  rustc 1\.85 .*Debian\b.*: rustc; Fedora: rust;/m ],
    [ 'an old rustc',   { PATH => path_of(rustc => 'echo rustc 1.84.1') },  qr/^  rustc 1\.85 or newer, not 'rustc 1\.84\.1'/m ],
    [ 'a rustc that is broken', { PATH => path_of(rustc => 'exit 1') },     qr/^  rustc 1\.85 /m ],
    [ 'no C compiler',  { PATH => path_of(cc => undef) },                   qr/^  a C compiler, 'cc' \(Debian\b.*: gcc libc6-dev; Fedora: gcc\)/m ],
    [ 'a $CC that is not there', { CC => '/nowhere/gcc -O' },               qr{^  a C compiler, '/nowhere/gcc -O' \(}m ],
    [ 'no headers',     $no_headers, qr{^  perl's headers, /nowhere/CORE/perl\.h \(Debian\b.*: perl; Fedora: perl-devel\)}m ],
    [ 'no MakeMaker',   $no_modules, qr/^  perl's module ExtUtils::MakeMaker \(Debian\b.*: perl; Fedora: perl\)/m ],
    [ 'nothing at all', { %$no_headers, PATH => '/nowhere' },               qr/^  cargo .*^  rustc .*^  a C compiler.*^  perl's headers/ms ],
) {
    my ($name, $env, $expected) = @$_;
    my ($status, $output) = run($env, $copy, $^X, 'Makefile.PL');
    isnt $status, 0, "$name: Makefile.PL fails";
    like $output, $expected, 'and says what to install';
    unlike $output, qr/ at \S+ line \d+/, 'not where in its code';
    ok !-e "$copy/Makefile", 'without a Makefile';
}
runs("rustc $_ is new enough", { PATH => path_of(rustc => "echo rustc $_") }, $copy, $^X, 'Makefile.PL')
    for '1.85.0', '1.100.0', '2.0.0-nightly';
unlink "$copy/Makefile";

for my $os (qw(freebsd darwin MSWin32)) {
    my ($status, $output) = run($copy, $^X, '-e', "BEGIN { \$^O = '$os' } do './Makefile.PL'; die \$@ if \$@");
    is $status, 0, "$os: exit 0";
    like $output, qr/^OS unsupported: .*$os$/m, 'says why';
    ok !-e "$copy/Makefile", 'without a Makefile';
}

# ---- make ----

my $output = makefile_pl();
like $output, qr/^found $_/m, "prints the version of $_" for 'cargo \d', 'rustc \d', 'cc ', 'perl 5';
runs('make -j2', $copy, 'make', '-j2', 'all', 'perlxs-rs/tests/blib/arch/auto/PerlXS/Test/Test.so');
ok -x $library, 'the library is where XSLoader looks for it';
is runs('which', $copy, $^X, '-Iblib/lib', '-Iblib/arch', '-e', $load), "0\n", 'loads';

# The time of the library's last build; whole seconds would not tell two apart.
sub built { return (Time::HiRes::stat($library))[9] }

# A test: make builds the library, or does not.
sub rebuilds {
    my ($name, $expected) = @_;
    my $before = built();
    my $log = runs("$name: make", $copy, 'make');
    is $log =~ /\bcargo build\b/ ? 1 : 0, $expected, $expected ? 'builds' : 'builds nothing' or diag $log;
    is built() ne $before ? 1 : 0, $expected, $expected ? 'a new library' : 'the library is the same';
    return $log;
}

rebuilds('again', 0);
for my $file (qw(src/lib.rs perlxs-rs/csrc/guard.c)) {
    utime undef, undef, "$copy/$file" or die $!;
    like rebuilds($file, 1), qr/Compiling/, 'from the source';
    rebuilds('again', 0);
}
for my $file (qw(Cargo.toml Cargo.lock build.rs src/child/stack.rs perlxs-rs/Cargo.toml perlxs-rs/build.rs perlxs-rs/csrc/shim.c perlxs-rs/csrc/shim.h perlxs-rs/src/lib.rs)) {
    my ($atime, $mtime) = (stat "$copy/$file")[8, 9];
    utime undef, undef, "$copy/$file" or die $!;
    like runs("$file: make -n", $copy, 'make', '-n'), qr/\bcargo build\b/, 'would build';
    utime $atime, $mtime, "$copy/$file" or die $!;
}
utime undef, undef, map { "$copy/$_" } qw(lib/Linux/Clone.pm README t/00-load.t perlxs-rs/tests/extension/lib.rs);
rebuilds('files of perl and of tests', 0);

# ---- the library ----

is runs('nm', $copy, qw(nm -D --defined-only), $library) =~ s/^\S+ //gmr, "T boot_Linux__Clone\n", 'exports its boot function only';
unlike runs('readelf', $copy, qw(readelf -SW), $library), qr/\.symtab|\.debug_/, 'is stripped';
cmp_ok -s $library, '<', 656 * 1024, 'is under 656 KB';

# ---- make install ----

# A test: the module is where it belongs below a root, and works.
sub installed {
    my ($root, $arch) = @_;
    my @files = files($root);
    my @pages = map { s{^lib/}{}r } grep { m{^lib/} } tracked();
    my @expected = ((map { "$arch/$_" } @pages), "$arch/auto/Linux/Clone/Clone.so");
    is_deeply [ grep { m{/Linux/Clone\b.*\.(?:pm|pod|so)$} } @files ], \@expected, 'the files are there';
    is_deeply [ map { m{/man3/(.+)\.\w+$} ? $1 =~ s{::}{/}gr : () } @files ], [ map { s/\.\w+$//r } @pages ], 'and a man page of each';
    is_deeply [ grep { !m{/man3?/|/man\d/|/\.packlist$|/perllocal\.pod$} } @files ], \@expected, 'and no others';
    is runs('perl', '/', $^X, "-I$root/$arch", '-e', "$load; print \$INC{'Linux/Clone.pm'}"), "0\n$root/$arch/Linux/Clone.pm",
        'and work';
}

my $root = File::Temp::tempdir(CLEANUP => 1);
runs('make install DESTDIR=', $copy, 'make', 'install', "DESTDIR=$root/dest", 'CARGO=false');
installed("$root/dest", $Config{installsitearch} =~ s{^/}{}r);
makefile_pl("INSTALL_BASE=$root/base");
runs('make', $copy, 'make');
runs('make install with INSTALL_BASE=', $copy, 'make', 'install', 'CARGO=false');
installed("$root/base", "lib/perl5/$Config{archname}");

# ---- two perls ----

my @own = glob "$copy/target/perl-*";
is scalar(@own), 1, 'one perl, one directory of objects';
my @others;
SKIP: {
    my $perls = ($ENV{PERLS_ROOT} // "$ENV{HOME}/.cache/perls") . '/perls';
    my ($other) = grep { $_ ne $^X && -x } glob("$perls/*-nothr*/bin/perl"), glob("$perls/*/bin/perl");
    skip "no second perl below $perls", 1 if !$other;
    note $other;
    runs('another perl: Makefile.PL', $copy, $other, 'Makefile.PL');
    rebuilds('another perl', 1);
    is runs('another perl', $copy, $other, '-Iblib/lib', '-Iblib/arch', '-e', $load), "0\n", 'loads it';
    my ($status, $error) = run($copy, $^X, '-Iblib/lib', '-Iblib/arch', '-e', $load);
    isnt $status, 0, 'this perl does not';
    is $status & 127, 0, 'nor crashes';
    like $error, qr/Clone\.c: loadable library and perl binaries are mismatched|undefined symbol|Perl API version/, 'but says why';
    @others = grep { $_ ne $own[0] } glob "$copy/target/perl-*";
    is scalar(@others), 1, 'each has objects of its own';
    makefile_pl();
    unlike rebuilds('this perl again', 1), qr/Compiling/, 'compiles nothing';
    is runs('this perl', $copy, $^X, '-Iblib/lib', '-Iblib/arch', '-e', $load), "0\n", 'loads its own';
}

# ---- another profile ----

{
    # what the checks say is in a library that has them
    my $checks = sub { return slurp($library) =~ /attempt to (?:add|subtract|multiply) with overflow/ ? 1 : 0 };
    is $checks->(), 0, 'release: no checks of overflow';
    local $ENV{PERLXS_PROFILE} = 'checked';
    makefile_pl();
    rebuilds('PERLXS_PROFILE=checked', 1);
    is $checks->(), 1, 'has them';
    is runs('checked', $copy, $^X, '-Iblib/lib', '-Iblib/arch', '-e', $load), "0\n", 'loads';
    $ENV{PERLXS_PROFILE} = 'none';
    makefile_pl();
    my ($status, $log) = run($copy, 'make');
    isnt $status, 0, 'a profile that there is not: make fails';
    like $log, qr/profile `none` is not defined/, 'and says why';
    delete $ENV{PERLXS_PROFILE};
    makefile_pl();
    rebuilds('release again', 1);
    is $checks->(), 0, 'without checks';
}

# ---- cargo alone ----

{
    my @build = qw(cargo build --locked);
    runs('cargo build, PERL unset', $copy, @build);
    my $only = path_of();
    for (
        [ 'PERL is nothing that runs', { PERL => '/nowhere/perl' }, qr{cannot run "/nowhere/perl" \(.+\); install perl or set PERL to one} ],
        [ 'PERL is no perl',           { PERL => '/bin/true' },     qr{"/bin/true" printed no configuration} ],
        [ 'PERL fails',                { PERL => '/bin/false' },    qr{"/bin/false" -MConfig ended with exit status: 1; install perl or set PERL to one} ],
        [ 'no perl in the PATH',       { PATH => $only },           qr{cannot run "perl" \(.+\); install perl or set PERL to one} ],
        [ 'no headers',                $no_headers, qr{perl \S+ \(perl\) has no headers: /nowhere/CORE/perl\.h is missing; install perl \(Debian, Ubuntu\) or perl-devel \(Fedora\)} ],
    ) {
        my ($name, $env, $expected) = @$_;
        my ($status, $log) = run($env, $copy, @build);
        isnt $status, 0, "$name: cargo build fails";
        my @said = $log =~ /^error: perlxs-rs\@[\d.]+: (.*)$/mg;
        is scalar @said, 1, 'with one sentence' or diag $log;
        like $said[0], qr/^$expected$/, 'that says why' or diag $log;
        unlike $log, qr/panicked/, 'not in a panic';
    }
}

# ---- make clean ----

runs('make clean', $copy, 'make', 'clean');
is_deeply [ grep { m{^blib/|^perlxs-rs/tests/blib/} } files($copy) ], [], 'leaves nothing of blib';
is_deeply [ glob "$copy/target/perl-*" ], \@others, "nor of this perl's objects; another's stay";
makefile_pl();
runs('make realclean', $copy, 'make', 'realclean');
is_deeply [ files($copy) ], \@sources, 'make realclean leaves the sources';

# ---- make distcheck; dist.t is about the tarball ----

makefile_pl();
is runs('make distcheck', $copy, 'make', '-s', 'distcheck'), '', 'has nothing to say';
done_testing;
