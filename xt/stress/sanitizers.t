# The whole suite under AddressSanitizer and UndefinedBehaviorSanitizer: an unthreaded -DDEBUGGING
# perl that is built with them (xt/perls/provision), and the shim, which takes its compiler's flags
# from perl. Each scalar is an allocation of its own there, so that one that is used after it was
# freed is found, whoever does it. A report of either is a failure.
#
#     prove -b xt/stress/sanitizers.t
#
# FILE, a pattern, takes only the test files that match: FILE=t/2 prove -bv xt/stress/sanitizers.t
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../author/lib";
use Test::More;
use AuthorTest;
use File::Temp ();

alarm 2 * 3600;

my $name = '5.36.0-nothr-asan';
my $perl = ($ENV{PERLS_ROOT} // "$ENV{HOME}/.cache/perls") . "/perls/$name/bin/perl";
my $only = $ENV{FILE} || '.';
runs("a perl with sanitizers, $name", top(), 'xt/perls/provision', $name) if !-x $perl;

my $copy    = copy_checkout();
my $reports = File::Temp::tempdir(CLEANUP => 1);
# for children that give up root
chmod 0777, $reports or die $!;
chmod 0755, $copy or die $!;

# Leaks are memcheck's. A SEGV is what the suite expects where a stack overflows, so it stays a
# signal. A pid in a namespace is another process's outside, too: so each process adds to a file.
my $stacks = "$reports.so";
runs('asan-stacks.c', top(), qw(cc -Wall -Wextra -Werror -O1 -shared -fPIC -o), $stacks, 'xt/stress/asan-stacks.c');
END { unlink $stacks if defined $stacks }
my $common = "halt_on_error=1:log_path=$reports/report";
my %env    = (
    ASAN_OPTIONS  => "$common:detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_abort=0",
    UBSAN_OPTIONS => "$common:print_stacktrace=1",
    PERL_DESTRUCT_LEVEL => 2,
    TEST_SLOW           => 10,
    UNDER_SANITIZER     => 1,
);

runs('Makefile.PL', \%env, $copy, $perl, 'Makefile.PL');
my %library = ('Linux::Clone' => 'blib/arch/auto/Linux/Clone/Clone.so', perlxs => 'perlxs-rs/tests/blib/arch/auto/PerlXS/Test/Test.so');
runs('make', \%env, $copy, 'make', 'all', $library{perlxs});
for my $what (sort keys %library) {
    my $calls = runs("nm: $what", $copy, 'nm', '-D', '--undefined-only', $library{$what});
    like $calls, qr/ __asan_report_(?:load|store)/, 'its shim is checked for addresses';
    like $calls, qr/ __ubsan_handle_/, 'and for undefined behaviour';
}

# Runs perl: its status, its output, and the reports; not AddressSanitizer's warnings about stacks
# other than a thread's, with which asan-stacks.c deals.
sub checked {
    my @command = ('env', "LD_PRELOAD=$stacks", $perl, "-I$copy/blib/lib", "-I$copy/blib/arch", @_);
    my %options = (%env, ASAN_OPTIONS => "$env{ASAN_OPTIONS}:verify_asan_link_order=0");
    my ($status, $output) = run(\%options, $copy, @command);
    my $reported = join '', map { my $said = slurp($_); unlink $_; $said } glob "$reports/*";
    $reported =~ s/^==\d+==WARNING: ASan (?:doesn't fully support makecontext|is ignoring requested __asan_handle_no_return).*\n//mg;
    $reported =~ s/^(?:False positive error reports may follow|For details see \S+)\n//mg;
    return ($status, $output, $reported);
}

# A report is seen: perl reads a string that is freed.
{
    my ($status, $output, $reported) = checked('-e', 'my $s = "x" x 1e4; my $p = pack "p", $s; undef $s; my $t = unpack "p", $p');
    isnt $status, 0, 'an error ends the process';
    like $reported, qr/ERROR: AddressSanitizer: heap-use-after-free/, 'and is reported' or diag $output;
}

# The tests that cannot go well here, by their names.
my %spoilt = (
    # AddressSanitizer has mappings and address space of its own, terabytes
    't/22-stack.t' => qr/^(?:stack size |a stack beyond RLIMIT_AS|a regex on the least stack)/,
    't/37-spawn.t' => qr/^(?:there is no child, no descriptor, no mapping more|nothing is left)$/,
    't/70-bad-input.t' => qr/^clone3?: (?:\$tls|\$ctid with \S+|tls|child_tid): \d+ values$/,
    't/90-manual.t' => qr/\$ctid is no address of a word in memory/,
    't/60-leaks.t'       => qr/./,
    't/61-leaks-spawn.t' => qr/./,
    # A copy that a child in shared memory has made: with PERL_DESTRUCT_LEVEL=2, perl's exit meets
    # the subs that its host was in.
    't/25-shared-memory.t' => qr/^that exits$/,
);

for my $file (map { substr $_, 1 + length $copy } glob("$copy/perlxs-rs/tests/t/*.t"), glob("$copy/t/*.t")) {
    next if $file !~ m{$only};
    my $start = time;
    my ($status, $output, $reported) = checked($file);
    note "$file: ", time - $start, ' s, ', scalar(() = $output =~ /^ok /mg), ' ok';
    my $spoilt = $spoilt{$file} // qr/(?!)/;
    my @wrong = grep { !/$spoilt/ } $output =~ /^not ok \d+ - (.*)/mg;
    is "@wrong", '', $file or diag $output;
    like $output, qr/^1\.\.\d+/m, 'it comes to its end' or diag $output;
    # where a test limits the address space
    $reported =~ s/^==\d+==ERROR: AddressSanitizer failed to allocate .*\n==\d+==ReserveShadowMemoryRange failed .*\n//mg;
    is $reported, '', 'no report';
}

done_testing;
