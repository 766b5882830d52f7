# Random programs: steps of random calls against a model of what must be true after each.
#
#   prove -b xt/stress/random.t                 100,000 steps, 100 for each program
#   STRESS=0.01 prove -b xt/stress/random.t     1,000 of them
#   SEED=n prove -bv xt/stress/random.t         program n alone, step by step: what a failure says
#   SEEDS=n prove -b xt/stress/random.t         all, with the seeds from n on instead of some by the clock
#
# A program is a process with a seed of its own, which does the same on every perl and each time.
# lib/Random has it: Prng, the numbers; Model, what must be true; Plan, what processes do; Program,
# the main process and its steps.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../../t/lib";

my $steps = $ENV{STEPS} // 100;

# ---- one program, in a process of its own ----

if (@ARGV && $ARGV[0] eq '--program') {
    my (undef, $seed, $directory) = @ARGV;
    require Random::Program;
    my $good = Random::Program::run($seed, $steps, $directory);
    $Random::Plan::finished = $Random::Plan::finished = 1;
    exit($good ? 0 : 1);
}

# ---- all of them ----

require File::Temp;
require POSIX;
require ProcessTest;
require Time::HiRes;
require Test::More;
Test::More->import;

my $size = $ENV{STRESS} // 1;
my ($first, $count) = ($ENV{SEEDS} // time % 1_000_000 * 1000, POSIX::ceil(1000 * $size));
($first, $count) = ($ENV{SEED}, 1) if defined $ENV{SEED};
my $jobs = 2;
my $longest = 300;    # seconds for a program, which takes about one
alarm 0;

my (%running, @failed);

sub start {
    my ($seed) = @_;
    my $directory = File::Temp->newdir('random-XXXXXX', TMPDIR => 1);
    chmod 0755, $directory;
    pipe my $read, my $write or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        POSIX::setsid();
        open STDIN, '<', '/dev/null';
        open STDOUT, '>&', $write or die "STDOUT: $!";
        open STDERR, '>&', \*STDOUT;
        # without files of children that die of signals
        exec '/bin/sh', '-c', 'ulimit -c 0; exec "$@"', 'sh', $^X, (map { "-I$_" } @INC), $0, '--program', $seed, "$directory" or die "exec: $!";
    }
    close $write;
    $running{$pid} = { seed => $seed, directory => $directory, read => $read, text => '', since => Time::HiRes::time(), pid => $pid };
    return;
}

# Processes of the program's session, which it has left behind: "PID NAME STATE", one a line.
sub left {
    my ($session) = @_;
    my @left;
    for my $pid (ProcessTest::process_ids()) {
        my ($state, undef, undef, $its, $name) = ProcessTest::process_stat($pid) or next;
        push @left, "$pid $name $state" if $its == $session;
    }
    return @left;
}

# Of a file, if there is one.
sub contents {
    my ($file) = @_;
    open my $fh, '<', $file or return '';
    local $/;
    return scalar <$fh> // '';
}

sub finish {
    my ($program, $status, $late) = @_;
    my @left = left($program->{pid});
    for (@left) { kill KILL => (split)[0] }
    my $pipe = $program->{read};
    $pipe->blocking(0);
    while (sysread $pipe, my $text, 65536) { $program->{text} .= $text }
    my @wrong;
    push @wrong, 'hangs' if $late;
    push @wrong, $status & 127 ? 'dies of signal ' . ($status & 127) : 'has exit status ' . ($status >> 8) if $status && !$late;
    push @wrong, "leaves processes behind: @left" if @left && !$late;
    $program->{text} .= contents("$program->{directory}/complaints");
    push @wrong, 'complains' if $program->{text} ne '';
    return 1 if !@wrong && !defined $ENV{SEED};
    my @trace = split /^/, contents("$program->{directory}/trace");
    if (!defined $ENV{SEED}) {
        # the last step
        my ($last) = grep { $trace[$_] =~ /^(?:step|the end)/ } reverse 0 .. $#trace;
        splice @trace, 0, $last if defined $last;
    }
    my $errors = contents("$program->{directory}/err");
    note(@trace) if defined $ENV{SEED};
    return 1 if !@wrong;
    diag("program $program->{seed}: ", join(', ', @wrong), "; again by: SEED=$program->{seed} prove -bv $0\n",
        $program->{text}, defined $ENV{SEED} ? () : @trace, $errors ne '' ? "STDERR: $errors" : ());
    push @failed, $program->{seed};
    return 0;
}

my $next = 0;
while (($next < $count && @failed < 20) || %running) {
    start($first + $next++) while $next < $count && @failed < 20 && keys %running < $jobs;
    my $set = '';
    vec($set, fileno $_->{read}, 1) = 1 for values %running;
    select my $ready = $set, undef, undef, 0.02;
    for my $program (values %running) {
        next if !vec $ready, fileno $program->{read}, 1;
        sysread $program->{read}, my $text, 65536 or next;
        $program->{text} .= $text;
    }
    while ((my $pid = waitpid -1, POSIX::WNOHANG()) > 0) {
        my $status = $?;
        my $program = delete $running{$pid} or next;
        finish($program, $status);
    }
    for my $pid (keys %running) {
        next if Time::HiRes::time() - $running{$pid}{since} < $longest;
        diag("program $running{$pid}{seed} hangs; its processes: ", join ', ', left($pid));
        kill KILL => $pid;
        waitpid $pid, 0;
        finish(delete $running{$pid}, $?, 1);
    }
}

diag("$next programs of $steps steps, seeds $first to ", $first + $next - 1, ', user ', $>, ", perl $^V");
is("@failed", '', 'every program does what the model says');
done_testing();
