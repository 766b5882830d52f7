#!/usr/bin/perl

# How long it takes to start a child while other threads are busy in malloc: fork, and fork that
# waits for a word of the child; clone, plain, with PIDFD and with NEWPID; spawn of code and of a
# program. With the C library's malloc, and with jemalloc and tcmalloc where they are installed.
# bench/README explains.
#
#     perl -Mblib bench/threads.pl [--runs N] [--threads N] [--malloc glibc,jemalloc,tcmalloc]

use strict;
use warnings;

use Config;
use File::Basename qw(dirname);
use Getopt::Long;
use IO::Handle ();
use POSIX ();
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

use lib dirname(__FILE__) . '/lib';
use Bench qw(goal percentile);
use Linux::Clone;

use constant SIGCHLD => POSIX::SIGCHLD;

my $runs    = 1000;
my $threads = 3;
my $mallocs = 'glibc,jemalloc,tcmalloc';
my $inside;    # which malloc this process has been started with
GetOptions(
    'runs=i' => \$runs, 'threads=i' => \$threads, 'malloc=s' => \$mallocs, 'inside=s' => \$inside
    )
    and !@ARGV && $runs > 0 && $threads > 0
    or die "usage: $0 [--runs N] [--threads N] [--malloc NAME,NAME,...]\n";
$Config{useithreads} or die "this perl has no ithreads\n";

my %library = (jemalloc => 'libjemalloc.so.2', tcmalloc => 'libtcmalloc_minimal.so.4');

# A process of its own for each malloc.
if (!defined $inside) {
    $| = 1;
    my $failed = 0;
    for my $malloc (split /,/, $mallocs) {
        my $library = $library{$malloc};
        die "no such malloc: $malloc\n" if !$library && $malloc ne 'glibc';
        if ($library && `LD_PRELOAD=$library $^X -e 1 2>&1` ne '') {
            print "malloc of $malloc: not available ($library is not installed)\n";
            next;
        }
        local $ENV{LD_PRELOAD} = $library if $library;
        $failed ||= system $^X, (map { "-I$_" } @INC), $0, '--runs', $runs, '--threads', $threads,
            '--inside', $malloc;
    }
    exit($failed ? 1 : 0);
}

# after the programs of this one, perl included, have been started with it
delete $ENV{LD_PRELOAD};
require threads;
threads->import;

my $user = $> == 0 ? 0 : Linux::Clone::NEWUSER;
my $end  = sub { POSIX::_exit(0) };

# What is compared: a name, and code that starts one child and returns its process id, or what
# failed; then what keeps its object alive.
my @measures = (
    [   fork => sub {
            my $pid = fork // return "$!";
            POSIX::_exit(0) if $pid == 0;
            return $pid;
        }
    ],
    # what any start takes whose result somebody else tells: that one has to get the processor
    [   'fork, heard of' => sub {
            pipe my $read, my $write or return "$!";
            my $pid = fork // return "$!";
            if ($pid == 0) {
                syswrite $write, '.';
                POSIX::_exit(0);
            }
            sysread $read, my $byte, 1;
            return $pid;
        }
    ],
    [ 'clone' => sub { clone(0) } ],
    [ 'clone PIDFD' => sub {
            my $pid = Linux::Clone::clone($end, 0, SIGCHLD | Linux::Clone::PIDFD, my $fd);
            return "$!" if $pid == -1;
            POSIX::close($fd);
            return $pid;
        }
    ],
    [ 'clone NEWPID' => sub { clone(Linux::Clone::NEWPID | $user) } ],
    [ 'spawn code' => sub { spawned(code => $end) } ],
    [ 'spawn exec' => sub { spawned(exec => ['/bin/true']) } ],
);

sub clone {
    my $pid = Linux::Clone::clone($end, 0, SIGCHLD | $_[0]);
    return $pid == -1 ? "$!" : $pid;
}

sub spawned {
    my $child = Linux::Clone::spawn(@_) or return $Linux::Clone::error;
    return ($child->pid, $child);
}

# Each appends to a string, over and over: it is in malloc for much of its time.
for (1 .. $threads) {
    threads->create(
        sub {
            while (1) {
                my @strings = ('') x 20;
                for my $n (1 .. 200) {
                    for my $string (@strings) { $string .= 'x' x $n }
                }
            }
        }
    )->detach;
}

my (%times, %failed);
my $bound = 60;    # seconds, for one child
for my $run (0 .. $runs - 1) {
    for my $turn (0 .. $#measures) {
        my ($name, $start) = @{ $measures[ ($run + $turn) % @measures ] };
        my $from = clock_gettime(CLOCK_MONOTONIC);
        my ($pid, $object) = $start->();
        push @{ $times{$name} }, clock_gettime(CLOCK_MONOTONIC) - $from;
        if ($pid !~ /^[0-9]+$/) {
            $failed{$name}{$pid}++;
            next;
        }
        local $SIG{ALRM} = sub { kill KILL => $pid };
        alarm $bound;
        my $reaped = waitpid $pid, 0;
        alarm 0;
        $failed{$name}{"status $?"}++ if $reaped != $pid || $?;
    }
}

printf "malloc of %s, %d threads, %d runs each, milliseconds\n", $inside, $threads, $runs;
printf "  %-16s %9s %9s %9s %9s  %s\n", 'start', 'median', '90 %', '99.9 %', 'most', 'failed';
my %at;
for my $name (map { $_->[0] } @measures) {
    $at{$name} = [ map { 1e3 * percentile($_, $times{$name}) } 50, 90, 99.9, 100 ];
    my $failed = join ', ', map { "$failed{$name}{$_} ($_)" } sort keys %{ $failed{$name} };
    printf "  %-16s %9.3f %9.3f %9.3f %9.3f  %s\n", $name, @{ $at{$name} }, $failed || 'none';
}
for (
    [ 'clone'        => 'fork' ],
    [ 'clone PIDFD'  => 'fork' ],
    [ 'clone NEWPID' => 'fork' ],
    [ 'clone NEWPID' => 'fork, heard of' ],
    [ 'spawn code'   => 'fork, heard of' ],
) {
    my ($name, $base) = @$_;
    my @ratios = map { $at{$name}[$_] / $at{$base}[$_] } 0 .. 2;
    goal("$name / $base, median", $ratios[0], 2.5);
    goal("$name / $base, 90 %", $ratios[1], 2.5);
    goal("$name / $base, 99.9 %", $ratios[2], 2.5);
}
for my $name (grep { /clone|code/ } map { $_->[0] } @measures) {
    goal("$name, most", $at{$name}[3] / 1e3, 1, ' s');
    my $failed = 0;
    $failed += $_ for values %{ $failed{$name} };
    goal("$name, failed", $failed, 0);
}
STDOUT->flush;
POSIX::_exit(0);    # perl would speak of its threads
