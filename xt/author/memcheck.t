# valgrind's memcheck over clone, unshare and their failures, and over perlxs's own tests: no
# errors, and nothing of ours that is lost. A scalar without an owner is no loss to memcheck, since
# perl still finds it among all its scalars; t/60-leaks.t counts those.
#
# valgrind follows clone(2) with a stack of its own into the child, as it does fork, as long as
# memory, descriptors and directories are not shared (CLONE_VM, FILES, FS).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use AuthorTest;
use Config;
use File::Basename qw(basename);
use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Temp ();

my $top = top();
my $dir = File::Temp::tempdir('linux-clone-XXXXXX', TMPDIR => 1, CLEANUP => 1);

# The libraries as they are shipped, but with symbols.
my %build = (CARGO_PROFILE_RELEASE_STRIP => 'none', CARGO_PROFILE_RELEASE_DEBUG => 'true', PERL => $^X);
my @cargo = (qw(cargo build --release --locked --target-dir), "$top/target/memcheck-$Config{version}-$Config{archname}");
runs('build with symbols',                    \%build, $top, @cargo, '--lib');
runs('build the test extension with symbols', \%build, $top, @cargo, qw(-p perlxs-rs --example perlxs_test));
for (
    [ 'liblinux_clone.so'           => 'Linux/Clone/Clone.so' ],
    [ 'examples/libperlxs_test.so'  => 'PerlXS/Test/Test.so' ]
    )
{
    my ($built, $installed) = @$_;
    make_path("$dir/auto/$installed" =~ s{/[^/]+$}{}r);
    copy("$cargo[-1]/release/$built", "$dir/auto/$installed") or die "$built: $!";
}

# The records of a report, valgrind's XML. Whose it is: ours, if any of its stacks is in our code.
sub records {
    my ($xml) = @_;
    my @records;
    for ($xml =~ m{<error>(.*?)</error>}sg) {
        my ($kind) = m{<kind>(.*?)</kind>};
        my ($what) = m{<(?:what|text)>(.*?)</(?:what|text)>}s;
        # the first stack is the place; the next ones say where the memory comes from
        my ($stack) = m{<stack>(.*?)</stack>}s;
        my @frames = map { { m{<(\w+)>(.*?)</}g } } $stack =~ m{<frame>(.*?)</frame>}sg;
        push @records, {
            kind => $kind,
            whose => m{<obj>\Q$dir/auto/} ? 'ours' : m{<obj>[^<]*/auto/} ? 'another extension' : 'perl',
            text => join("\n", "$kind: $what", map { '    ' . ($_->{fn} // $_->{ip}) . " ($_->{file}:$_->{line})" =~ s/\(:\)//r }
                map { { file => basename($_->{obj} // ''), line => '', %$_ } } @frames) . "\n",
        };
    }
    return @records;
}

# Runs a perl script under memcheck: a test that it says nothing, one that memcheck says nothing.
sub memcheck {
    my ($name, @script) = @_;
    my $reports = File::Temp::tempdir(CLEANUP => 1);
    # perl frees what it has at its end only if it is asked to; only then can a leak be told
    my ($status, $output) = run({ PERLXS_TEST_LIB => $dir, PERL_DESTRUCT_LEVEL => 2 }, "$top/perlxs-rs/tests",
        qw(valgrind -q --leak-check=full --show-leak-kinds=definite --num-callers=40 --keep-debuginfo=yes --xml=yes),
        "--xml-file=$reports/%p", $^X, "-I$dir", "-I$top/lib", @script);
    is $status, 0, "$name: exits with 0" or diag $output;
    unlike $output, qr/^not ok|, not /m, 'as it does without valgrind';
    my @reports = glob "$reports/*";
    ok @reports, @reports . ' processes';
    my (%errors, %lost);
    for my $report (@reports) {
        for my $record (records(slurp($report))) {
            if ($record->{kind} =~ /^Leak_/) {
                $lost{ $record->{text} }++ if $record->{whose} eq 'ours';
            }
            # Cwd's overlapping copies are not ours to mend
            elsif ($record->{whose} ne 'another extension') {
                $errors{ $record->{text} }++;
            }
        }
    }
    ok !%errors, 'no errors'       or diag join "\n", sort keys %errors;
    ok !%lost,   'nothing is lost' or diag join "\n", sort keys %lost;
    return;
}

memcheck('clone and unshare', "$top/xt/author/lib/paths.pl", 3);
memcheck("perlxs: $_", $_) for map { s{^.*/(t/)}{$1}r } glob "$top/perlxs-rs/tests/t/*.t";

done_testing;
