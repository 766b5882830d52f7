package Memcheck;

# valgrind's memcheck over perl programs that use Linux::Clone or perlxs: no errors, and nothing of
# ours that is lost. A scalar without an owner is no loss to memcheck, since perl still finds it
# among all its scalars; t/60-leaks.t counts those.
#
# valgrind follows clone(2) with a stack of its own into the child, as it does fork, as long as
# memory, descriptors and directories are not shared (CLONE_VM, FILES, FS). VM with VFORK is to it
# a vfork, and it makes a fork of each.

use strict;
use warnings;

use AuthorTest;
use Config;
use Exporter 'import';
use File::Basename qw(basename dirname);
use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Temp ();
use Test::More;

our @EXPORT = qw(build memcheck);

my $top = top();
my $dir = File::Temp::tempdir('linux-clone-XXXXXX', TMPDIR => 1, CLEANUP => 1);

# Two tests: the libraries are built as they are shipped, but with symbols.
sub build {
    my %env = (CARGO_PROFILE_RELEASE_STRIP => 'none', CARGO_PROFILE_RELEASE_DEBUG => 'true', PERL => $^X);
    my $target = "$top/target/memcheck-$Config{version}-$Config{archname}";
    my @cargo = (qw(cargo build --release --locked --target-dir), $target);
    for (
        [ 'the library',        'liblinux_clone.so',         'Linux/Clone/Clone.so', '--lib' ],
        [ 'the test extension', 'examples/libperlxs_test.so', 'PerlXS/Test/Test.so', qw(-p perlxs-rs --features process --example perlxs_test) ],
        )
    {
        my ($what, $built, $installed, @which) = @$_;
        runs("build $what with symbols", \%env, $top, @cargo, @which);
        make_path(dirname("$dir/auto/$installed"));
        copy("$target/release/$built", "$dir/auto/$installed") or die "$built: $!";
    }
    return;
}

# The records of a report, valgrind's XML. Ours are those with any frame in our code, be it of the
# place itself or of where the memory comes from.
sub records {
    my ($xml) = @_;
    my @records;
    for ($xml =~ m{<error>(.*?)</error>}sg) {
        my ($kind) = m{<kind>(.*?)</kind>};
        my ($what) = m{<(?:what|text)>(.*?)</(?:what|text)>}s;
        my ($stack) = m{<stack>(.*?)</stack>}s;
        my @frames = map { { m{<(\w+)>(.*?)</}g } } $stack =~ m{<frame>(.*?)</frame>}sg;
        push @records, {
            kind => $kind,
            ours => scalar(m{<obj>\Q$dir/auto/}),
            text => join("\n", "$kind: $what", map { '    ' . ($_->{fn} // $_->{ip}) . " ($_->{file}:$_->{line})" =~ s/\(:\)//r }
                map { { file => basename($_->{obj} // ''), line => '', %$_ } } @frames) . "\n",
        };
    }
    return @records;
}

# Runs perl with these arguments under memcheck, in a directory. Three tests: there are reports, they
# have no errors, and nothing of ours is lost. Returns the status and the output. The tests of the
# suite read UNDER_VALGRIND, and give their alarms TEST_SLOW times as long.
sub memcheck {
    my ($name, $cwd, @perl) = @_;
    my $reports = File::Temp::tempdir(CLEANUP => 1);
    # perl frees what it has at its end only if it is asked to; only then can a leak be told
    my ($status, $output) = run({ PERLXS_TEST_LIB => $dir, PERL_DESTRUCT_LEVEL => 2, UNDER_VALGRIND => 1, TEST_SLOW => 50 }, $cwd,
        qw(valgrind -q --leak-check=full --show-leak-kinds=definite --num-callers=40 --keep-debuginfo=yes --xml=yes),
        "--xml-file=$reports/%p", "--suppressions=$top/xt/author/lib/perl.supp", $^X, "-I$dir", "-I$top/lib", @perl);
    my @reports = glob "$reports/*";
    ok @reports, "$name: " . @reports . ' processes';
    my (%errors, %lost);
    for my $record (map { records(slurp($_)) } @reports) {
        if ($record->{kind} !~ /^Leak_/) {
            $errors{ $record->{text} }++;
        }
        elsif ($record->{ours}) {
            $lost{ $record->{text} }++;
        }
    }
    ok !%errors, 'no errors'       or diag join "\n", sort keys %errors;
    ok !%lost,   'nothing is lost' or diag join "\n", sort keys %lost;
    return ($status, $output);
}

1;
