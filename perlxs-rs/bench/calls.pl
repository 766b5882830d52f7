#!/usr/bin/perl

# What calls into Rust cost against the same in C: each function of bench/rust, on perlxs, against
# its twin in bench/cxs, and against Debian's packages of three modules. README explains.
#
#     perl perlxs-rs/bench/calls.pl [--seconds S] [--elements N] [--loads N] [--rows PATTERN]
#         [--callgrind]

use strict;
use warnings;

use Config;
use Cwd qw(abs_path);
use Data::Dumper ();
use File::Basename qw(dirname);
use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Temp;
use Getopt::Long;
use POSIX ();
use Time::HiRes qw(clock_gettime CLOCK_PROCESS_CPUTIME_ID);

my ($here, $lib);
BEGIN { $here = dirname(abs_path(__FILE__)); $lib = "$here/../../bench/lib" }
use lib $lib;
use Bench qw(alternate median paired verdict);

my %option = (seconds => 0.3, elements => 1_000_000, loads => 50, rows => '', callgrind => 0);
GetOptions(\%option, 'seconds=f', 'elements=i', 'loads=i', 'rows=s', 'callgrind')
    and !@ARGV && $option{seconds} > 0 && $option{elements} >= 1000 && $option{loads} > 0
    or die "usage: $0 [--seconds S] [--elements N, 1000 or more] [--loads N] [--rows PATTERN]"
    . " [--callgrind]\n";
my $elements = $option{elements};

# --- the rows ---

# A row is Perl as text, since callgrind needs it in another process. TWIN is C::Twin or Rust::Twin.
#
#   what      its name
#   goal      the most that Rust may take, as a multiple of C's time; if there is one
#   in        an expression for $in, which is made once
#   before    what is done before the loop
#   code      the statement in the loop; its result, if it has one, goes to $out
#   c         the statement of C's, where it is another one
#   needs     the module that has this
#   per       how many things the statement does: the table has the time for one of them
#
# $elements is the size of what is large.
my @call_times = (
    before => 'my $add = sub { $_[0] + 1 };',
    code   => '$out = TWIN::call_times($add, $elements)',
    per    => $elements,
);
my @firstidx = (
    in   => '[1 .. $elements]',
    code => '$out = TWIN::firstidx { $_ == $elements } @$in',
    per  => $elements,
);

# an integer that has been a string looks like one to some: + 0
my $record = '{ id => $_ + 0, name => "widget $_", price => $_ + 0.75, tags => [qw(red round)],'
    . ' stock => { here => 3, there => -40, on_order => 70_000 } }';
my $records = int $elements / 200;
my @small   = (in => "(map { $record } 17)[0]");
my @large   = (in => "[ map { $record } 1 .. \$elements / 200 ]", per => $records);
my @packed  = (before => '$in = C::Twin::pack($in) if ref $in;', code => '$out = TWIN::unpack($in)');

my $messagepack = 'Data::MessagePack';
my @rows = (
    { what => 'no arguments, no result', goal => 1.15, code => 'TWIN::nothing()' },
    {
        what => 'integer in and out',
        goal => 1.15,
        in   => '41',
        code => '$out = TWIN::successor($in)',
    },
    { what => 'float in and out', goal => 1.2, in => '0.75', code => '$out = TWIN::half($in)' },
    {
        # assigned anew each time, since C leaves the integer in it
        what => 'numeric string in, integer out',
        goal => 1.5,
        in   => '""',
        code => '$out = TWIN::successor($in = "1234")',
    },
    {
        what => '11 bytes in and out',
        goal => 1.3,
        in   => '"hello world"',
        code => '$out = TWIN::echo($in)',
    },
    {
        what => sprintf('length of a string of %g MB', $elements / 10_000),
        goal => 1.2,
        in   => '"x" x (100 * $elements)',
        code => '$out = TWIN::size($in)',
    },
    {
        what   => 'method of an object with a value',
        goal   => 1.3,
        before => 'my $counter = TWIN::Counter->new(41);',
        code   => '$out = $counter->increment',
    },
    { what => 'new and free of such an object', goal => 1.5, code => 'TWIN::Counter->new(41)' },
    { what => "callback, $elements times", goal => 1.3, @call_times },
    {
        what => '  the same, C with G_EVAL',
        @call_times,
        c => '$out = C::Twin::call_times_eval($add, $elements)',
    },
    {
        what => "sum over an array of $elements",
        goal => 1.2,
        in   => '[1 .. $elements]',
        code => '$out = TWIN::sum($in)',
        per  => $elements,
    },
    {
        what => "build an array of $elements",
        goal => 1.1,
        code => '$out = TWIN::array($elements)',
        per  => $elements,
    },
    {
        what => 'build a hash of ' . int $elements / 5,
        goal => 1.1,
        code => '$out = TWIN::hash($elements / 5)',
        per  => int $elements / 5,
    },
    {
        what => "walk a hash of $elements",
        goal => 1.2,
        in   => 'my %hash; $hash{"key $_"} = $_ for 1 .. $elements; \%hash',
        code => '$out = TWIN::walk($in)',
        per  => $elements,
    },
    { what => "firstidx { } on $elements, MULTICALL in C", goal => 1.3, @firstidx },
    { what => 'pack of a record', goal => 1.5, @small, code => '$out = TWIN::pack($in)' },
    { what => "pack of $records records", goal => 1.5, @large, code => '$out = TWIN::pack($in)' },
    { what => 'unpack of a record', goal => 1.5, @small, @packed },
    { what => "unpack of $records records", goal => 1.5, @large, @packed },
    {
        what  => 'crc32 of 11 bytes',
        goal  => 1.3,
        needs => 'Digest::CRC',
        in    => '"hello world"',
        code  => '$out = TWIN::crc32($in)',
        c     => '$out = Digest::CRC::crc32($in)',
    },
    {
        what  => 'crc32 of 100 KB',
        goal  => 1.3,
        needs => 'Digest::CRC',
        in    => '"hello world" x 9091',
        code  => '$out = TWIN::crc32($in)',
        c     => '$out = Digest::CRC::crc32($in)',
    },
    {
        what  => "firstidx { } on $elements",
        goal  => 1.3,
        needs => 'List::MoreUtils::XS',
        @firstidx,
        c => '$out = List::MoreUtils::XS::firstidx { $_ == $elements } @$in',
    },
    {
        what  => 'pack of a record',
        goal  => 1.5,
        needs => $messagepack,
        @small,
        code => '$out = TWIN::pack($in)',
        c    => '$out = Data::MessagePack->pack($in)',
    },
    {
        what  => "pack of $records records",
        goal  => 1.5,
        needs => $messagepack,
        @large,
        code => '$out = TWIN::pack($in)',
        c    => '$out = Data::MessagePack->pack($in)',
    },
    {
        what  => 'unpack of a record',
        goal  => 1.5,
        needs => $messagepack,
        @small, @packed,
        c => '$out = Data::MessagePack->unpack($in)',
    },
    {
        what  => "unpack of $records records",
        goal  => 1.5,
        needs => $messagepack,
        @large, @packed,
        c => '$out = Data::MessagePack->unpack($in)',
    },
);

# The row's loop, as the text of a sub that takes how often: that of $twin.
sub loop {
    my ($row, $twin) = @_;
    my $before = $row->{before} // '';
    my $code = $twin eq 'C::Twin' && $row->{c} || $row->{code};
    my $text = "sub { my (\$n) = \@_; my \$out; $before for (1 .. \$n) { $code } return \$out }";
    return $text =~ s/\bTWIN\b/$twin/gr;
}

my @twins = qw(C::Twin Rust::Twin);

# --- building ---

my $built = File::Temp->newdir('calls-XXXXXX', TMPDIR => 1);

# Copies files below $from to where $to says.
sub copy_files {
    my ($from, $to, @files) = @_;
    for my $file (@files) {
        make_path(dirname("$to/$file"));
        if (-d "$from/$file") {
            system('cp', '-R', "$from/$file", "$to/$file") == 0 or die "cannot copy $from/$file\n";
        }
        else {
            copy("$from/$file", "$to/$file") or die "$from/$file: $!\n";
        }
    }
    return;
}

# The files of a distribution.
sub manifest {
    my ($dir) = @_;
    open my $fh, '<', "$dir/MANIFEST" or die "$dir/MANIFEST: $!\n";
    chomp(my @files = <$fh>);
    return @files;
}

# Builds the twins and the example in copies, side by side, and copies the twins to where `make
# install` would put them: from blib, XSLoader takes a detour that takes longer than loading them.
sub build {
    my $perlxs  = "$built/perlxs-rs";
    my $example = "$here/../examples/hello";
    copy_files("$here/..", $perlxs, qw(Cargo.toml build.rs csrc doc perl src));
    copy_files($example, "$perlxs/examples/hello", manifest($example));
    copy_files("$here/cxs", "$perlxs/bench/cxs", qw(Makefile.PL Twin.xs lib));
    copy_files("$here/rust", "$perlxs/bench/rust", qw(Cargo.lock Cargo.toml Makefile.PL lib src));

    # a target directory of the user's is not for these
    delete local @ENV{qw(CARGO_TARGET_DIR PERLXS_PROFILE)};
    my @logs;
    for my $dir (qw(bench/cxs bench/rust examples/hello)) {
        # in a tarball the crates are there
        symlink "$here/../../vendor", "$perlxs/$dir/vendor" if -d "$here/../../vendor";
        my $command = qq{exec 2>&1; cd "$perlxs/$dir" && "$^X" Makefile.PL && $Config{make}};
        open my $log, '-|', 'sh', '-c', $command or die "sh: $!\n";
        push @logs, [ $dir, $log ];
    }
    for (@logs) {
        my ($dir, $log) = @$_;
        my $text = do { local $/; <$log> };
        close $log or die "$dir cannot be built:\n$text";
    }
    for my $dir (qw(cxs rust)) {
        my $blib = "$perlxs/bench/$dir/blib";
        system('cp', '-R', "$blib/lib/.", "$blib/arch/.", "$built/lib/") == 0 or die "cannot copy $blib\n";
    }
    return;
}

mkdir "$built/lib" or die "$built/lib: $!\n";
$| = 1;
print "building\n";
build();

# Each in a package of its own: some of them import into it.
unshift @INC, "$built/lib";
my %loaded;
for my $module (@twins, grep { defined } map { $_->{needs} } @rows) {
    $loaded{$module} //= eval "package Loading; require $module; 1" || 0;
    die $@ if !$loaded{$module} && $module =~ /::Twin$/;
}

# --- the same results ---

# What a row's loops return, once each, as text.
sub check {
    my ($row) = @_;
    # what is large is small here
    my $elements = 1000;
    my $in       = eval($row->{in} // 'undef');
    die "$row->{what}: $@" if $@;
    my @results;
    for my $twin (@twins) {
        my $loop = eval loop($row, $twin) or die "$row->{what}: $@";
        my $text = Data::Dumper->new([ $loop->(1) ])->Sortkeys(1)->Indent(0)->Useperl(1)->Dump;
        push @results, $text =~ s/'(-?\d+)'/$1/gr;
    }
    die "$row->{what}: the results differ\n", map { substr($_, 0, 1000) . "\n" } @results
        if $results[0] ne $results[1];
    return;
}

# --- time ---

# How many turns of a loop take $seconds, or somewhat more; and how long these do take.
sub calibrate {
    my ($loop, $seconds) = @_;
    my $n = 1;
    while (1) {
        my $start = clock_gettime(CLOCK_PROCESS_CPUTIME_ID);
        $loop->($n);
        my $time = clock_gettime(CLOCK_PROCESS_CPUTIME_ID) - $start;
        return ($n, $time) if $time >= $seconds;
        # by what is missing, but in steps: the first time is the least to be trusted
        my $factor = $time > 0 ? $seconds / $time * 1.1 : 10;
        $n = 1 + int $n * ($factor > 10 ? 10 : $factor);
    }
}

# The times of C and Rust for one thing, round by round: two references, in nanoseconds.
sub times_of {
    my ($row) = @_;
    my $in = eval($row->{in} // 'undef');
    die "$row->{what}: $@" if $@;
    my (@codes, @counts, $round);
    for my $twin (@twins) {
        my $loop = eval loop($row, $twin) or die "$row->{what}: $@";
        my ($n, $time) = calibrate($loop, $option{seconds} / 200);
        push @counts, $n * ($row->{per} // 1);
        push @codes, sub { $loop->($n); return };
        $round += 2 * $time;
    }
    my $runs  = int $option{seconds} / $round;
    my $least = $round > 3 * $option{seconds} ? 1 : 5;
    my @times = alternate($runs < $least ? $least : $runs, \@codes, 0, CLOCK_PROCESS_CPUTIME_ID);
    return map { my $i = $_; [ map { 1e9 * $_ / $counts[$i] } @{ $times[$i] } ] } 0, 1;
}

# --- instructions ---

my $valgrind = $option{callgrind} && system('valgrind --version >/dev/null 2>&1') == 0;
print "there is no valgrind, so there are no instructions\n" if $option{callgrind} && !$valgrind;

# The instructions that valgrind counts for perl with these arguments.
sub collected {
    my (@arguments) = @_;
    local $ENV{PERL_HASH_SEED} = 0;
    my @command = (qw(valgrind --tool=callgrind --callgrind-out-file=/dev/null), $^X, @arguments);
    my $pid = open my $fh, '-|';
    die "fork: $!\n" if !defined $pid;
    if (!$pid) {
        open STDERR, '>&', \*STDOUT or die "STDERR: $!\n";
        exec @command or die "valgrind: $!\n";
    }
    my $text = do { local $/; <$fh> };
    close $fh or die "@command: status $?\n$text";
    return ($text =~ /Collected : (\d+)/)[0] // die "@command: no number\n$text";
}

# The instructions that one turn of a row's loop takes in each twin, for one thing of it.
sub instructions {
    my ($row) = @_;
    my $large = defined $row->{per};
    my $n     = $large ? 2 : 200;
    # what is large is smaller here, and each part of it is one thing all the same
    my $size = $elements < 10_000 ? $elements : 10_000;
    my $per  = $large ? $row->{per} * $size / $elements : 1;
    my @uses = map { "-M$_=" } @twins, $row->{needs} // ();
    return map {
        my $in      = $row->{in} // 'undef';
        my $loop    = loop($row, $_);
        my $program = "my \$elements = $size; my \$in = do { $in }; ($loop)->(shift)";
        my ($once, $twice) =
            map { collected("-I$built/lib", (map { "-I$_" } @INC), @uses, '-e', $program, $_) } $n, 2 * $n;
        ($twice - $once) / $n / $per;
    } @twins;
}

# --- the table ---

my %verdicts;

# Prints a line of the table; columns at its end that are not there leave no space.
sub line {
    my (@columns) = @_;
    my $line = sprintf '%-44s %9s %9s %8s  %-16s %5s  %-7s %10s %11s', map { $_ // '' } @columns[ 0 .. 8 ];
    print $line =~ s/ +$//r, "\n";
    return;
}

sub heading {
    my ($what, $unit) = @_;
    my @instructions = $valgrind && $unit eq 'ns' ? ('C instr.', 'Rust instr.') : ();
    line($what, "C $unit", "Rust $unit", 'ratio', 'paired, 95 %', 'goal', '', @instructions);
    return;
}

# A number of any size, short.
sub short {
    my ($number, $digits) = @_;
    return sprintf $number < 100_000 ? "%.${digits}f" : '%.3g', $number;
}

# Prints what has been measured: the medians of C and Rust, the bounds of the ratio, instructions.
sub row {
    my ($what, $goal, $c, $rust, $low, $high, @instructions) = @_;
    my $ratio   = $rust / $c;
    my $verdict = defined $goal ? verdict($ratio, $goal) : undef;
    $verdicts{$verdict}++ if $verdict;
    line("  $what", short($c, 1), short($rust, 1), short($ratio, 2),
        short($low, 2) . ' to ' . short($high, 2),
        $goal, $verdict, map { short($_, 0) } @instructions);
    return;
}

# What row() prints of the times of C and Rust.
sub figures {
    my ($c, $rust) = @_;
    return (median($c), median($rust), paired($rust, $c));
}

# The figures of a row, from a process of its own: in the memory that other rows leave behind, what
# is made lies scattered, and most of the time goes to the cache.
sub measured {
    my ($row) = @_;
    my $pid = open my $from, '-|';
    die "fork: $!\n" if !defined $pid;
    if (!$pid) {
        check($row);
        print join ' ', figures(times_of($row)), $valgrind ? instructions($row) : ();
        close STDOUT or die "STDOUT: $!\n";
        POSIX::_exit(0);
    }
    my $figures = <$from>;
    close $from or die "$row->{what} cannot be measured\n";
    return split ' ', $figures;
}

heading('a statement in a loop', 'ns');
my $with = '';
for my $row (@rows) {
    next if $row->{what} !~ /$option{rows}/;
    my $needs = $row->{needs} // '';
    if ($needs && $needs ne $with) {
        my $package = 'lib' . lc($needs =~ s/::/-/gr) . '-perl';
        $loaded{$needs} or print "$needs (Debian: $package) is not installed\n";
        $loaded{$needs} and heading("$needs " . $needs->VERSION . ' for C', 'ns');
        $with = $needs;
    }
    next if $needs && !$loaded{$needs};
    row($row->{what}, $row->{goal}, measured($row));
}

# --- loading ---

# strict, warnings and XSLoader, which all XS modules use, are there before.
my $clocked = <<'PERL';
use strict; use warnings; use Time::HiRes qw(clock_gettime CLOCK_PROCESS_CPUTIME_ID);
require XSLoader;
my $file = shift;
my $start = clock_gettime(CLOCK_PROCESS_CPUTIME_ID);
require $file;
printf "%.9f", clock_gettime(CLOCK_PROCESS_CPUTIME_ID) - $start;
PERL

# How long `require` of this twin takes in a process of its own, in microseconds.
sub load {
    my ($twin) = @_;
    my $file = $twin =~ s{::}{/}gr . '.pm';
    open my $fh, '-|', $^X, "-I$built/lib", '-e', $clocked, $file or die "$^X: $!\n";
    my $seconds = <$fh>;
    close $fh or die "require $file: status $?\n";
    return 1e6 * $seconds;
}

my $loading = 'require, in a process of its own';
if ($loading =~ /$option{rows}/) {
    my @times = ([], []);
    for my $run (1 .. $option{loads}) {
        push @{ $times[$_] }, load($twins[$_]) for $run % 2 ? (0, 1) : (1, 0);
    }
    heading('loading', 'us');
    row($loading, 1.1, figures(@times));
}

# --- size ---

my $size = 'shared object of examples/hello';
if ($size =~ /$option{rows}/) {
    my ($hello) = map { (-s) / 1024 } "$built/perlxs-rs/examples/hello/blib/arch/auto/Hello/Hello.so";
    my ($c, $rust) = map { (-s) / 1024 } map { "$built/lib/auto/$_/Twin/Twin.so" } qw(C Rust);
    my $verdict = verdict($hello, 150);
    $verdicts{$verdict}++;
    heading('size', 'KB');
    line("  $size", undef, short($hello, 1), undef, undef, 150, $verdict);
    line('  shared objects of the twins', short($c, 1), short($rust, 1));
}

printf "goals: %s; %.0f seconds\n", join(', ', map { "$verdicts{$_} $_" } sort keys %verdicts) || 'none',
    time - $^T;
