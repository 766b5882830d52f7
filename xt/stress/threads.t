# Eight threads that start and reap children of all kinds for a minute, end in all ways and are
# replaced, while the main thread does the same: each finds its own children, and nothing is left.
#
#     prove -b xt/stress/threads.t
#
# STRESS, a number, scales the minute; SEED repeats the choices, if not their order among threads.
use strict;
use warnings;
use Config;

BEGIN {
    if (!$Config{useithreads}) {
        print "1..0 # SKIP this perl has no ithreads\n";
        exit 0;
    }
}
use FindBin;
use lib "$FindBin::Bin/../../t/lib";
use Test::More;
use CloneTest qw(perl_output);
use File::Temp ();

my $seconds = 60 * ($ENV{STRESS} // 1);
$seconds = 2 if $seconds < 2;
my $seed = $ENV{SEED} // time;
alarm 600 + 4 * $seconds;
diag "SEED=$seed, $seconds seconds";

my $dir = File::Temp->newdir;
chmod 0755, "$dir";
my ($output, $status) = perl_output(do { local $/; <DATA> }, $seconds, $seed, "$dir");
is $status, 0, 'the program ends' or diag $output;
my %told = $output =~ /^(\w+): (.*)$/mg;
diag join ', ', map { "$_ $told{$_}" } grep { defined $told{$_} } qw(threads children VmSize mappings);
diag "by kind: $told{kinds}" if defined $told{kinds};
diag "left out: $told{refused}" if $told{refused};
cmp_ok $told{threads} // 0, '>', 8, 'threads came and went';
cmp_ok $told{children} // 0, '>', 100, 'and had children';
is $told{wrong}, '', 'each child ended as it should, and was its own thread\'s to reap';
is $told{descriptors}, 0, 'no descriptor is left';
is $told{left}, 0, 'no child is left';
# malloc has up to eight arenas for each processor, of two mappings or more; the C library keeps
# stacks of threads that have ended
cmp_ok $told{mappings} // 1e9, '<=', 64, 'no mapping is left with each thread or child';
is $told{signal}, 'USR1', 'signal handlers run as before';
is $output =~ s/^\w+: .*\n//mgr, '', 'and that is all that it said';

done_testing;
__DATA__
# ARGV: seconds, seed, a directory
use strict;
use warnings;
use threads;
use Fcntl ();
use Linux::Clone qw(:flags clone3 spawn pidfd_open);
use List::Util qw(min);
use POSIX qw(SIGCHLD);
use ProcessTest qw(ended status_field mappings descriptors);
use Time::HiRes qw(sleep time);
no warnings qw(threads exec);

my ($seconds, $seed, $dir) = @ARGV;
my $shared = CLONE_VM | CLONE_VFORK;
my $user = $> == 0 ? 0 : CLONE_NEWUSER;
my $null = POSIX::open('/dev/null', POSIX::O_WRONLY());
my $true = ProcessTest::true();

# Reaps this very child: how it ended. One that takes longer than a minute hangs.
sub reap {
    my ($pid) = @_;
    return "errno " . ($! + 0) if $pid == -1;
    my ($end, $pause, $got) = (time + 60, 0.0005);
    while (($got = waitpid $pid, POSIX::WNOHANG()) == 0) {
        if (time > $end) {
            kill KILL => $pid;
            waitpid $pid, 0;
            return 'hung';
        }
        sleep $pause;
        $pause = min(0.05, 2 * $pause);
    }
    return $got == $pid ? ended() : "waitpid: $got, errno " . ($! + 0);
}

sub finished {
    my ($child) = @_;
    return $Linux::Clone::error if !$child;
    my ($end, $pause) = (time + 60, 0.0005);
    while ($child->running) {
        if (time > $end) {
            $child->kill('KILL');
            $child->wait;
            return 'hung';
        }
        sleep $pause;
        $pause = min(0.05, 2 * $pause);
    }
    return $child->wait == $child->pid ? ended() : 'wait: errno ' . ($! + 0);
}

sub start { my ($code, $flags) = @_; return Linux::Clone::clone($code, 0, SIGCHLD | ($flags // 0)) }
sub quiet { POSIX::dup2($null, 2); return }
our $global = 'outer';

# what a child does that needs the locks of perl and of the C library
sub busy {
    my @data = map { [ 1 .. 5 ] } 1 .. 100;
    my @user = getpwnam('root');
    open my $fh, '<', '/dev/null' or return 251;
    opendir my $dh, '/' or return 252;
    my $text = sprintf '%s %g %s', scalar(@data), 0.5, scalar localtime;
    require Socket;
    return @user && $text ? 0 : 253;
}

# Each: what comes of it for a number from 1 to 200, and how it is done.
my %kinds = (
    'return'      => sub { my $n = $_[0]; ("exit $n", reap(start(sub { $n }))) },
    'exit'        => sub { my $n = $_[0]; ("exit $n", reap(start(sub { exit $n }))) },
    'die'         => sub { my $n = $_[0]; ("exit $n", reap(start(sub { quiet(); $! = $n; die "x\n" }))) },
    'exec'        => sub { my $n = $_[0]; ("exit $n", reap(start(sub { exec '/bin/sh', '-c', "exit $n" }))) },
    'killed'      => sub { ('signal 9', reap(start(sub { kill KILL => $$; sleep 9 }))) },
    'busy'        => sub { ('exit 0', reap(start(\&busy))) },
    'VFORK'       => sub { my $n = $_[0]; ("exit $n", reap(start(sub { $n }, CLONE_VFORK))) },
    'FILES|FS'    => sub { my $n = $_[0]; ("exit $n", reap(start(sub { $n }, CLONE_FILES | CLONE_FS))) },
    'a thread id' => sub { my $n = $_[0]; my $pid = Linux::Clone::clone(sub { $n }, 0, SIGCHLD, my $ptid); ("exit $n $pid", reap($pid) . " $ptid") },
    'PIDFD'       => sub { my $n = $_[0]; my $pid = Linux::Clone::clone(sub { $n }, 0, CLONE_PIDFD | SIGCHLD, my $fd); ("exit $n", (POSIX::close($fd) ? '' : "close: $!") . reap($pid)) },
    'clone3'      => sub { my $n = $_[0]; my $pid = clone3(sub { $n }, { parent_tid => \my $tid, pidfd => \my $fd }); ("exit $n", (POSIX::close($fd) ? '' : "close: $!") . reap($pid)) },
    'its thread'  => sub { my $tid = threads->tid % 200; ("exit $tid", reap(start(sub { threads->tid % 200 }))) },
    'a child of a child' => sub { my $n = $_[0]; ("exit $n", reap(start(sub { my $pid = start(sub { $n }); waitpid $pid, 0; $? >> 8 }))) },
    'shared'      => sub { my $n = $_[0]; ("exit $n", reap(start(sub { my @x = (1) x 50; $n }, $shared))) },
    'shared, exit' => sub { my $n = $_[0]; ("exit $n outer", reap(start(sub { local $global = $n; my @sorted = sort { exit $n } 2, 1; 0 }, $shared)) . " $global") },
    'shared, die' => sub { my $n = $_[0]; ("exit $n", reap(start(sub { quiet(); $! = $n; die "x\n" }, $shared))) },
    'shared, exec' => sub { my $n = $_[0]; ("exit $n", reap(start(sub { exec '/bin/sh', '-c', "exit $n" }, $shared))) },
    'shared, a handle' => sub { my $n = $_[0]; my $kept; my @ends = ("exit $n", reap(start(sub { open $kept, '<', '/dev/null'; $n }, $shared))); undef $kept; @ends },
    'spawn code'  => sub { my $n = $_[0]; ("exit $n", finished(spawn(code => sub { $n }))) },
    'spawn exec'  => sub { my $n = $_[0]; ("exit $n", finished(spawn(exec => [ '/bin/sh', '-c', "exit $n" ]))) },
    'spawn with a pipe' => sub {
        my $n = $_[0];
        pipe my $read, my $write or return ('', "pipe: $!");
        my $child = spawn(exec => [ '/bin/sh', '-c', "echo $n" ], stdout => $write);
        close $write;
        ("$n exit 0", do { my $line = <$read> // "nothing\n"; chomp $line; $line } . ' ' . finished($child));
    },
    'spawn with maps' => sub { my $n = $_[0]; ("exit $n", finished(spawn(code => sub { $n }, uid_map => 'root', gid_map => 'root'))) },
    'spawn exec with maps' => sub { my $n = $_[0]; ("exit $n", finished(spawn(exec => [ '/bin/sh', '-c', "exit $n" ], uid_map => 'root', gid_map => 'root'))) },
    'spawn, refused' => sub { my $child = spawn(exec => ['/no/such']); ('errno 2', $child ? 'a child' : 'errno ' . ($! + 0)) },
    'spawn, kill_on_destroy' => sub { my $child = spawn(code => sub { sleep 60 })->kill_on_destroy('KILL'); my $pid = $child->pid; undef $child; ('none', waitpid($pid, 0) == -1 ? 'none' : 'left') },
    'namespaces'  => sub { my $n = $_[0]; ("exit $n", reap(start(sub { $n }, $user | CLONE_NEWUTS | CLONE_NEWPID))) },
);
# what the kernel refuses to a process is no matter of threads
my %refused;
for my $kind (sort keys %kinds) {
    my ($expected, $got) = $kinds{$kind}->(7);
    next if $got eq $expected;
    die "$kind: $got, not $expected\n" if $kind !~ /maps|namespaces/;
    $refused{$kind} = $got;
    delete $kinds{$kind};
}
my @kinds = sort keys %kinds;
# perl's own lock of its threads may be held for ever in a child of the main thread that exits
# while another thread starts or ends: in one of fork, too
my @mains = grep { !/^exit|^die/ } @kinds;

sub report {
    my ($line) = @_;
    sysopen my $fh, "$dir/log", Fcntl::O_WRONLY() | Fcntl::O_APPEND() | Fcntl::O_CREAT() or die "$dir/log: $!";
    syswrite $fh, "$line\n";
    return;
}

sub turn {
    my ($kind) = @_;
    my $tid = threads->tid;
    report("$tid begins $kind");
    my ($expected, $got) = $kinds{$kind}->(1 + int rand 200);
    report("$tid did $kind");
    report("wrong $kind: $got, not $expected") if $got ne $expected;
    return;
}

# what a thread does besides: locks that its neighbours' children may copy
sub noise {
    my @data = map { [ 1 .. 5 ] } 1 .. 200;
    my @user = getpwnam('root');
    open my $fh, '<', '/proc/self/stat' or die $!;
    my $line = <$fh>;
    require Socket;
    return;
}

sub worker {
    my ($turns, $how) = @_;
    srand $seed + threads->tid;
    for (1 .. $turns) {
        turn($kinds[ rand @kinds ]);
        noise() if rand() < 0.3;
    }
    # a child of the thread's, at its end
    my $child = spawn(code => sub { sleep 60 });
    $child->kill_on_destroy('KILL') if $child;
    report("end $how");
    threads->exit if $how eq 'exit';
    die "x\n" if $how eq 'die';
    return;
}

my ($started, @hows) = (0, qw(return exit die detach));

sub hire {
    my ($turns) = @_;
    my $how = $hows[ $started++ % @hows ];
    threads->create(\&worker, $turns, $how);
    return;
}

# kB
sub size { return status_field('VmSize') }
# this one, too
sub tasks { return scalar(() = glob '/proc/self/task/*') }
sub joined { $_->join for threads->list(threads::joinable); return }

sub all_gone {
    my $end = time + 120;
    while (time < $end) {
        joined();
        open my $log, '<', "$dir/log" or last;
        my $ends = grep { /^end / } <$log>;
        # a thread that is detached ends after it has said so: it is gone when the kernel has it no more
        return if $ends >= $started && !threads->list(threads::all) && tasks() == 1;
        sleep 0.05;
    }
    my %at;
    open my $log, '<', "$dir/log" or die "$dir/log: $!";
    while (<$log>) {
        $at{$1} = $2 if /^(\d+) begins (.*)/;
        delete $at{$1} if /^(\d+) did /;
    }
    report('wrong: threads hang, at ' . (join(', ', values %at) || 'their ends'));
    return;
}

srand $seed;
# so much is there once each has run: arenas of malloc's, stacks, modules
hire(scalar @kinds) for 1 .. 8;
turn($_) for @mains;
all_gone();
my @before = (size(), scalar mappings(), descriptors());

my $end = time + $seconds;
while (time < $end) {
    joined();
    # detached threads are not listed: two are as many as may be
    hire(5 + int rand 30) while threads->list(threads::all) < 6 || tasks() < 9;
    turn($mains[ rand @mains ]);
    my $n = 1 + int rand 200;
    my $pid = fork // die "fork: $!";
    POSIX::_exit($n) if !$pid;
    my $got = reap($pid);
    report('0 did fork');
    report("wrong fork: $got, not exit $n") if $got ne "exit $n";
}
all_gone();
my @after = (size(), scalar mappings(), descriptors());

open my $log, '<', "$dir/log" or die "$dir/log: $!";
my (%did, @wrong);
while (my $line = <$log>) {
    chomp $line;
    $line =~ /^\d+ did (.*)/ ? $did{$1}++ : $line =~ /^wrong:? (.*)/ ? push @wrong, $1 : next;
}
my $children = 0;
$children += $_ for values %did;
my $left = 0;
$left++ while waitpid(-1, POSIX::WNOHANG()) != -1 && $left < 1000;
my $signal = '';
$SIG{USR1} = sub { $signal = "USR1" };
kill USR1 => $$;
sleep 0.1;

$| = 1;
print "threads: $started\n", "children: $children\n";
print "kinds: ", join(', ', map { "$_ $did{$_}" } sort keys %did), "\n";
print "refused: ", join(', ', map { "$_ ($refused{$_})" } sort keys %refused), "\n";
print "wrong: ", join('; ', @wrong), "\n";
print "VmSize: ", $after[0] - $before[0], "\n", "mappings: ", $after[1] - $before[1], "\n";
print "descriptors: ", $after[2] - $before[2], "\n", "left: $left\n", "signal: $signal\n";
