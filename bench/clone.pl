#!/usr/bin/perl

# How long it takes to start a child and wait for it, at growing heaps: fork, clone, clone with
# VM|VFORK, each with a child that ends at once and with one that execs /bin/true; spawn with exec;
# and Proc::FastSpawn's spawn of /bin/true where that module is installed. bench/README explains.
#
#     perl -Mblib bench/clone.pl [--runs N] [--heaps MB,MB,...] [--csv FILE]

use strict;
use warnings;

use File::Basename qw(dirname);
use Getopt::Long;
use POSIX ();

use lib dirname(__FILE__) . '/lib';
use Bench qw(alternate goal median paired percentile);
use Linux::Clone;

use constant {
    SIGCHLD => POSIX::SIGCHLD,
    VFORKED => Linux::Clone::VM | Linux::Clone::VFORK | POSIX::SIGCHLD,
    TRUE    => '/bin/true',
};

my $runs  = 100;
my $heaps = '0,64,256,1024';
my $csv;
GetOptions('runs=i' => \$runs, 'heaps=s' => \$heaps, 'csv=s' => \$csv)
    and !@ARGV && $runs > 0 && $heaps =~ /^\d+(?:,\d+)*$/
    or die "usage: $0 [--runs N] [--heaps MB,MB,...] [--csv FILE]\n";
my @heaps = sort { $a <=> $b } split /,/, $heaps;

# The children's code, made once: no call pays for making a closure.
my $end_at_once = sub { 0 };
my $exec        = sub {
    no warnings 'exec';
    exec { +TRUE } TRUE or return 127;
};

sub reap {
    my ($pid) = @_;
    waitpid($pid, 0) == $pid && $? == 0 or die "child $pid: status $?\n";
    return;
}

# What is compared: a name, and code that starts one child and waits for it.
my @measures = (
    [   'fork' => sub {
            my $pid = fork // die "fork: $!\n";
            POSIX::_exit(0) if $pid == 0;
            reap($pid);
        },
    ],
    [ 'clone'          => sub { reap(Linux::Clone::clone($end_at_once, 0, SIGCHLD)) } ],
    [ 'clone VM|VFORK' => sub { reap(Linux::Clone::clone($end_at_once, 0, VFORKED)) } ],
    [   'fork + exec' => sub {
            my $pid = fork // die "fork: $!\n";
            if ($pid == 0) {
                no warnings 'exec';
                exec { +TRUE } TRUE or POSIX::_exit(127);
            }
            reap($pid);
        },
    ],
    [ 'clone + exec'          => sub { reap(Linux::Clone::clone($exec, 0, SIGCHLD)) } ],
    [ 'clone VM|VFORK + exec' => sub { reap(Linux::Clone::clone($exec, 0, VFORKED)) } ],
    [   'spawn exec' => sub {
            my $child = Linux::Clone::spawn(exec => [TRUE]) or die "$Linux::Clone::error\n";
            $child->wait;
            $? == 0 or die "spawn: status $?\n";
        },
    ],
    [ 'Proc::FastSpawn::spawn' => sub { reap(Proc::FastSpawn::spawn(TRUE, ['true'])) } ],
);

my @names = map { $_->[0] } @measures;
my %missing;
if (!eval { reap(Linux::Clone::clone($end_at_once, 0, VFORKED)); 1 }) {
    my $why = $@ =~ s/ at \S+ line \d+\.?\n//r;
    @missing{ 'clone VM|VFORK', 'clone VM|VFORK + exec' } = ($why) x 2;
}
if (!eval { require Proc::FastSpawn; 1 }) {
    $missing{'Proc::FastSpawn::spawn'} = 'the module is not installed';
}
@measures = grep { !$missing{ $_->[0] } } @measures;

# The resident size of this process in MB (proc(5), statm).
sub rss_mb {
    open my $fh, '<', '/proc/self/statm' or die "/proc/self/statm: $!\n";
    my $pages = (split ' ', <$fh>)[1];
    return $pages * POSIX::sysconf(POSIX::_SC_PAGESIZE()) / 2**20;
}

# Makes the heap as large as $mb MB, in strings of one page each: enough of them that it is
# perl's heap that grows, and each written to.
my @strings;

sub grow_heap {
    my ($mb) = @_;
    my $page = 4096;
    while (@strings < $mb * 2**20 / $page) {
        my $string = 'x' x ($page - 64);
        substr $string, 0, 1, 'y';
        push @strings, $string;
    }
    return;
}

# {heap}{name}: median in microseconds
my %median;
my @rows;

for my $heap (@heaps) {
    my $before = rss_mb();
    my $grown  = @strings;
    grow_heap($heap);
    my $rss = rss_mb();
    die "the heap has not grown: $before MB, then $rss MB\n"
        if $rss - $before < 0.9 * (@strings - $grown) * 4096 / 2**20;

    printf "heap %d MB (resident size %.0f MB), %d runs each\n", $heap, $rss, $runs;
    printf "  %-24s %10s %9s %9s %9s  %s\n", 'start + wait', 'median us', 'p10', 'p90', 'to fork',
        'paired, 95 %';
    my @times = alternate($runs, [ map { $_->[1] } @measures ], 0.02);
    my %times = map { $measures[$_][0] => $times[$_] } 0 .. $#measures;
    for my $name (@names) {
        my $times = $times{$name};
        if (!$times) {
            printf "  %-24s %s (%s)\n", $name, 'not available', $missing{$name};
            next;
        }
        my ($p10, $p50, $p90) = map { 1e6 * percentile($_, $times) } 10, 50, 90;
        $median{$heap}{$name} = $p50;
        my $fork = $times{ $name =~ /exec|spawn/ ? 'fork + exec' : 'fork' };
        printf "  %-24s %10.1f %9.1f %9.1f %9.4f  %.4f to %.4f\n", $name, $p50, $p10, $p90,
            $p50 / 1e6 / median($fork), paired($times, $fork);
        push @rows, sprintf '%d,%s,%.2f,%.2f,%.2f,%d,%.1f', $heap, $name, $p50, $p10, $p90,
            $runs, $rss;
    }
}

sub ratio {
    my ($heap, $name, $other) = @_;
    my ($value, $base) = @{ $median{$heap} }{ $name, $other };
    return defined $value && defined $base ? $value / $base : undef;
}

print "goals, as ratios of medians\n";
for my $heap (@heaps) {
    goal("clone / fork, $heap MB", ratio($heap, 'clone', 'fork'), 1.00);
}
for (grep { $_->[0] == 0 || $_->[0] == 1024 } map { [ $_, $_ == 0 ? 0.15 : 0.003 ] } @heaps) {
    my ($heap, $limit) = @$_;
    goal("clone VM|VFORK / fork, $heap MB", ratio($heap, 'clone VM|VFORK', 'fork'), $limit);
}
for my $heap (@heaps) {
    goal("clone VM|VFORK + exec / Proc::FastSpawn::spawn, $heap MB",
        ratio($heap, 'clone VM|VFORK + exec', 'Proc::FastSpawn::spawn'), 1.00);
}

if (defined $csv) {
    open my $fh, '>', $csv or die "$csv: $!\n";
    print {$fh} map { "$_\n" } 'heap_mb,what,median_us,p10_us,p90_us,runs,rss_mb', @rows;
    close $fh or die "$csv: $!\n";
}
