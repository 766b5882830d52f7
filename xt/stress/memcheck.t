# valgrind's memcheck over the whole suite: each test file comes to its end, with no error and nothing
# of ours lost, in none of its processes. The programs that a test execs are not watched.
#
#     prove -b xt/stress/memcheck.t
#
# FILE, a pattern, takes only the test files that match: FILE=t/2 prove -bv xt/stress/memcheck.t
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../author/lib";
use Test::More;
use AuthorTest;
use Memcheck;

alarm 4 * 3600;

# What valgrind 3.19 does otherwise than the kernel:
# - a child with VM|VFORK would be a fork: Linux::Clone croaks, so CloneTest leaves VM|VFORK out,
#   and what such a child does to variables is not seen by its parent;
# - FILES, FS and SIGHAND are beyond it, so CloneTest leaves them out;
# - it knows no clone3, no pidfd_open, nothing that takes pidfds: ENOSYS, and the tests skip that;
# - it has memory, signals and descriptors of its own, in the same process.
# That spoils tests of what memory, signals and descriptors look like; so what counts here is that
# each file comes to its end. The tests that fail are shown.

sub tests { my ($dir, $glob) = @_; return map { [ "$dir/$_", $dir, $_ ] } map { substr $_, 1 + length "$dir" } glob "$dir/$glob" }

my %beyond = (
    't/45-child-limits.t' => 'skipped: valgrind 3.19 knows no pidfd_send_signal',
    't/72-killed.t' => 'skipped: valgrind aborts when somebody traces a process of its own',
    't/32-clone3.t' => 'skipped: valgrind 3.19 knows no clone3',
    't/35-pidfd.t'  => 'skipped: valgrind 3.19 knows no pidfd_open',
);

my $only = $ENV{FILE} || ".";
build();
for my $test (tests(top(), 't/*.t'), tests(top() . '/perlxs-rs/tests', 't/*.t')) {
    my ($file, $dir, $name) = @$test;
    next if $file !~ m{$only};
    my $start = time;
    my ($status, $output) = memcheck($name, $dir, $name);
    my @wrong = $output =~ /^not ok \d+ - (.*)/mg;
    note join "\n", "$name took ", time - $start, @wrong;
    my $end = $beyond{$name} ? qr/^1\.\.0 # SKIP/m : qr/^1\.\.[1-9]/m;
    like $output, $end, $beyond{$name} // 'it comes to its end' or diag $output;
}
done_testing;
