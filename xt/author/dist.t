# The tarball: that it is complete, and that it builds as users build it, all without a network and
# with nothing in CARGO_HOME.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use AuthorTest;
use Config;
use ExtUtils::Manifest ();
use File::Path qw(make_path);
use File::Temp ();
use JSON::PP ();

my $copy = copy_checkout();
my ($version) = slurp("$copy/lib/Linux/Clone.pm") =~ /VERSION = '(.+)'/;
my $dist = "Linux-Clone-$version";

# All of the users' directories are below this one, which they can reach.
my $base = File::Temp::tempdir('linux-clone-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $base or die $!;

sub unpack_into {
    my ($dir) = @_;
    make_path($dir);
    runs("tar, into $dir", $dir, 'tar', '-xf', "$copy/$dist.tar.gz");
    return "$dir/$dist";
}

# ---- make dist, distcheck, disttest ----

my @sources = files($copy);
runs('perl Makefile.PL', $copy, $^X, 'Makefile.PL');
is runs('make distcheck', $copy, 'make', '-s', 'distcheck'), '', 'has nothing to say';
runs('make dist', $copy, 'make', 'dist') for 1, 2;
my $size = -s "$copy/$dist.tar.gz";
note "$dist.tar.gz: $size bytes";
cmp_ok $size, '<', 5_000_000, 'the tarball is under 5 MB';
# of the suite that file only: all of it runs twice below
my %one = (MAKEFLAGS => 'TEST_FILES=t/00-load.t');
like runs('make disttest', \%one, $copy, 'make', 'disttest'), qr/^All tests successful\.$/m, 'passes';
runs('make realclean', $copy, 'make', 'realclean');
is_deeply [ grep { $_ ne "$dist.tar.gz" } files($copy) ], \@sources, 'nothing else is left in the checkout';

my $tree = unpack_into("$base/root");
is_deeply [ glob "$base/root/*" ], [$tree], 'one directory';
my @packed = files($tree);
is_deeply [ sort keys %{ ExtUtils::Manifest::maniread("$tree/MANIFEST") } ], \@packed, 'MANIFEST lists what is there';
my @crates = map { m{^vendor/([^/]+)/Cargo\.toml$} ? $1 : () } @packed;
is_deeply [ grep { !m{^(?:vendor/|META\.(?:json|yml)$)} } @packed ], [ sort keys %{ ExtUtils::Manifest::maniread("$copy/MANIFEST") } ],
    'the files of the checkout, META and vendor/';
is_deeply [ grep { (stat "$tree/$_")[2] & 022 } @packed ], [], 'others cannot write to them';
my $skipped = ExtUtils::Manifest::maniskip("$tree/MANIFEST.SKIP");
is_deeply [ grep { $skipped->($_) } @packed ], [], 'and MANIFEST.SKIP names none of them';

# The same from itself: a packager may change it, and pack it again.
runs('perl Makefile.PL in the tarball', $tree, $^X, 'Makefile.PL');
is runs('make distcheck', $tree, 'make', '-s', 'distcheck'), '', 'has nothing to say';
runs('make distdir', $tree, 'make', 'distdir', 'CARGO=false');
is_deeply [ files("$tree/$dist") ], \@packed, 'has all that the tarball has';
is slurp("$tree/$dist/MANIFEST"), slurp("$tree/MANIFEST"), 'and its MANIFEST';
runs('make realclean', $tree, 'make', 'realclean');
is_deeply [ files($tree) ], \@packed, 'leaves the tarball as it was';

# ---- the crates ----

my %locked = slurp("$tree/Cargo.lock") =~ /^name = "(.+)"\nversion = ".+"\nsource = .+\nchecksum = "(.+)"$/mg;
is_deeply \@crates, [ sort keys %locked ], "vendor/ has the crates of Cargo.lock: @crates";
for my $crate (@crates) {
    my $checksums = JSON::PP::decode_json(slurp("$tree/vendor/$crate/.cargo-checksum.json"));
    is $checksums->{package}, $locked{$crate}, "$crate: the one that is locked";
    is_deeply [ sort keys %{ $checksums->{files} } ],
        [ grep { $_ ne '.cargo-checksum.json' } map { m{^vendor/\Q$crate\E/(.+)} } @packed ], 'has the files that it says';
    ok scalar(grep { /^LICEN[CS]E/ } keys %{ $checksums->{files} }), 'and its license';
}

# What was left out of libc no Linux needs. This machine's rustc has the libraries of one target
# only; but with a core that has nothing in it, rustc looks for all files of a crate before it
# complains of all the rest.
{
    my $dir = File::Temp::tempdir(CLEANUP => 1);
    my %unstable = (RUSTC_BOOTSTRAP => 1);
    spew("$dir/core.rs", "#![feature(no_core)]\n#![no_core]\n");
    for my $target (qw(x86_64-unknown-linux-gnu x86_64-unknown-linux-gnux32 x86_64-unknown-linux-musl aarch64-unknown-linux-gnu
        aarch64-unknown-linux-musl armv7-unknown-linux-gnueabihf armv7-unknown-linux-uclibceabihf i686-unknown-linux-gnu
        loongarch64-unknown-linux-gnu mips64el-unknown-linux-gnuabi64 mipsel-unknown-linux-uclibc powerpc64le-unknown-linux-gnu
        riscv64gc-unknown-linux-gnu riscv64gc-unknown-linux-musl s390x-unknown-linux-gnu sparc64-unknown-linux-gnu))
    {
        my @rustc = (qw(rustc -A warnings --edition 2021 --emit=metadata --target), $target);
        runs("a core for $target", \%unstable, $dir, @rustc, qw(--crate-name core --crate-type rlib -o libcore.rmeta core.rs));
        my ($status, $output) = run(\%unstable, $dir, @rustc, qw(--crate-name libc --crate-type lib -o libc.rmeta --extern core=libcore.rmeta),
            "$tree/vendor/libc/src/lib.rs");
        like $output, qr/^error\[E0432\]: unresolved import `core::/m, 'all modules are looked for';
        my @missing = $output =~ /^(error.*(?:E0583|file not found).*)$/mg;
        is_deeply \@missing, [], 'and found';
    }
}

# ---- users ----

# A user's home, and the command that runs others as that user: without a network, and with a
# toolchain that the user can read. The user is nobody, root if `root` is true.
my $sysroot = runs('the toolchain', '/', qw(rustc --print sysroot)) =~ s/\n//r;
my $shared  = "$base/toolchain";
make_path($shared);

sub user {
    my ($home, $root, %env) = @_;
    make_path($home, "$home/tmp");
    my @as;
    if ($> == 0) {
        @as = qw(setpriv --reuid 65534 --regid 65534 --clear-groups) if !$root;
        system('chown', '-R', $root ? '0:0' : '65534:65534', $home) == 0 or die "chown: $?";
    }
    return ($> == 0 ? qw(unshare --net --mount) : qw(unshare --map-root-user --net --mount),
        'sh', '-ec', 'mount --bind "$1" "$2"; shift 2; exec "$@"', 'sh', $sysroot, $shared, @as, qw(env -i),
        "HOME=$home", "TMPDIR=$home/tmp", "CARGO_HOME=$home/cargo", "PATH=$shared/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        qw(LC_ALL=C HARNESS_OPTIONS=j3), map { "$_=$env{$_}" } sort keys %env);
}

# A test: cargo fetched nothing.
sub fetched_nothing {
    my ($home) = @_;
    is_deeply [ grep { !m{^\.(?:package-cache|global-cache)} } files("$home/cargo") ], [], 'cargo has fetched nothing';
    return;
}

# A test: the suite has run, and passed.
sub passed {
    my ($output) = @_;
    like $output, qr/^All tests successful\.$/m, 'the suite passes';
    my ($tests) = $output =~ /^Files=\d+, Tests=(\d+)/m;
    cmp_ok $tests // 0, '>', 1000, 'all of it';
    return;
}

# A test: it works from where it was installed.
sub works {
    my ($lib, @user) = @_;
    is runs('perl', '/', @user, $^X, "-I$lib", '-MLinux::Clone', '-e', 'print Linux::Clone::unshare(0), $INC{"Linux/Clone.pm"}'),
        "0$lib/$Config{archname}/Linux/Clone.pm", 'works where it was installed';
    return;
}

{
    note 'an unprivileged user copies a directory that nobody can write to, to a path with spaces';
    my $home = "$base/an ordinary user";
    my @user = user($home);
    my $original = unpack_into("$base/read-only");
    runs('chmod', '/', 'chmod', '-R', 'a-w', $original);
    my $source = "$home/my copy";
    runs('cp -r',            $home, @user, 'cp', '-r', $original, $source);
    # of the directories only: the files stay as they are
    runs('chmod',            $home, @user, 'find', $source, qw(-type d -exec chmod u+w {} +));
    runs('perl Makefile.PL', $source, @user, $^X, 'Makefile.PL', "INSTALL_BASE=$home/perl5");
    runs('make',             $source, @user, 'make');
    passed(runs('make test', $source, @user, 'make', 'test'));
    runs('make install',     $source, @user, 'make', 'install');
    works("$home/perl5/lib/perl5", @user);
    my %packed = map { $_ => 1 } @packed;
    is_deeply [ grep { !$packed{$_} && !m{^(?:blib|target|perlxs-rs/tests/blib)/|^(?:Makefile|MYMETA\.(?:json|yml)|pm_to_blib)$} } files($source) ], [],
        'make writes to blib and target';
    is_deeply [ grep { !m{^(?:my copy|perl5|cargo)/} } files($home) ], [], 'and nowhere else';
    fetched_nothing($home);

    note 'there, `cpan .`, which nobody has configured';
    # PERL_MM_OPT knows no path with spaces
    my $prefix = "$base/cpan";
    user($prefix);
    @user = user($home, 0, PERL_MM_USE_DEFAULT => 1, PERL_MM_OPT => "INSTALL_BASE=$prefix", %one);
    like runs('cpan .', $source, @user, 'cpan', '.'), qr/^All tests successful\.$/m, 'passes';
    works("$prefix/lib/perl5", @user);
    runs('chmod', '/', 'chmod', '-R', 'u+w', $original);
}

{
    note 'CARGO_TARGET_DIR';
    my $home   = "$base/target";
    my @user   = user($home, 0, CARGO_TARGET_DIR => "$home/elsewhere", CARGO_HOME => '/nonexistent', HOME => '/nonexistent');
    my $source = unpack_into("$home/source");
    user($home);
    runs('perl Makefile.PL', $source, @user, $^X, 'Makefile.PL');
    runs('make',             $source, @user, 'make');
    is runs('perl -Mblib', $source, @user, $^X, qw(-Iblib/lib -Iblib/arch -MLinux::Clone -e), 'print Linux::Clone::unshare(0)'), '0', 'works';
    ok !-e "$source/target", 'nothing in target';
    ok scalar(my @built = files("$home/elsewhere")), 'but in $CARGO_TARGET_DIR';
}

{
    note 'cpanm, as root, with tests';
    my $home = "$base/cpanm";
    my @user = user($home, 1);
    passed(runs('cpanm', $home, @user, qw(cpanm --verbose -l), "$home/perl5", "$copy/$dist.tar.gz"));
    works("$home/perl5/lib/perl5", @user);
    fetched_nothing($home);
}

done_testing;
