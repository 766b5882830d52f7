# 100,000 children of each kind, started and reaped in one process: the parent is as large at the
# end as at the beginning, and as fast.
#
#     prove -b xt/stress/soak.t [:: PATTERN...]
#
# STRESS, a number, scales how many; PATTERN picks kinds by name. Run `make test` before: it builds
# the extension that counts perl's scalars.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../../t/lib", "$FindBin::Bin/../../perlxs-rs/tests/lib";
use Test::More;
use CloneTest qw(status shared mappings descriptors children status_field namespace_flags);
use Linux::Clone qw(:flags :kcmp :wait clone3 kcmp pidfd_open pidfd_send_signal setns spawn unshare waitid);
use List::Util qw(min sum);
use PerlXS::Test ();
use POSIX qw(SIGCHLD);
use Time::HiRes qw(time);

my $stress = $ENV{STRESS} // 1;
my $n = int(100_000 * $stress) || 1;
# a kind takes a minute or two on an idle machine
alarm 600 + 14_400 * $stress;

# What may grow, in kB. VmRSS is inexact (proc(5)): the kernel adds what each processor has counted
# only by batches of 32 pages or more, and malloc keeps up to 128 kB (M_TOP_PAD) more than it
# needs. Whatever is lost with each call is above that: the smallest piece of malloc's has 24 bytes,
# a scalar too, which is 2344 kB of 100,000. The rest must not grow at all.
my %allowed = (VmRSS => 1024);

# The last thousands may take so many times as long as the first: processor time differs by half when
# others use the machine. What grows with each call costs many times as much in the end.
my $slower = 2;

my $true = ProcessTest::true();
my $null = POSIX::open('/dev/null', POSIX::O_WRONLY());
my $uts = POSIX::open('/proc/self/ns/uts', POSIX::O_RDONLY());
my $may_setns = $> == 0;

sub pid_of { return $_[0] == -1 ? die "clone: $!\n" : $_[0] }
sub reap { return CloneTest::reap(pid_of($_[0])) }
sub end { my $child = spawn(@_) or die "$Linux::Clone::error\n"; $child->wait; return CloneTest::ended() }

our ($global, %hash) = (1);
# what a guest leaves on perl's stacks, wherever it stops
sub deep {
    my ($end) = @_;
    local $global = [ 1 .. 5 ];
    local $hash{key} = {};
    my @sorted = sort { my @mapped = map { $end->(); $_ } 1, 2; $a <=> $b } 2, 1;
    return 0;
}

# Each: what a turn must return, and a turn. The name says what the call has.
my %kinds = (
    'clone'                    => [ 'exit 0', sub { status(sub { 0 }) } ],
    'clone, exit'              => [ 'exit 3', sub { status(sub { exit 3 }) } ],
    'clone, die'               => [ 'exit 9', sub { status(sub { POSIX::dup2($null, 2); $! = 9; die "x\n" }) } ],
    'clone, exec'              => [ 'exit 0', sub { status(sub { exec {$true} 'true' }) } ],
    'clone VFORK'              => [ 'exit 0', sub { status(sub { 0 }, CLONE_VFORK) } ],
    'clone VM|VFORK'           => [ 'exit 3', sub { shared(sub { deep(sub { 1 }); 3 }) } ],
    'clone VM|VFORK, exit'     => [ 'exit 3', sub { shared(sub { deep(sub { exit 3 }) }) } ],
    'clone VM|VFORK, die'      => [ 'exit 9', sub { shared(sub { POSIX::dup2($null, 2); deep(sub { $! = 9; die "x\n" }) }) } ],
    'clone VM|VFORK, exec'     => [ 'exit 0', sub { shared(sub { deep(sub { exec {$true} 'true' }) }) } ],
    'clone VM|VFORK, SIGKILL'  => [ 'signal 9', sub { shared(sub { deep(sub { kill KILL => $$; sleep 9 }) }) } ],
    'clone FILES|FS'           => [ 'exit 0', sub { status(sub { 0 }, CLONE_FILES | CLONE_FS) } ],
    'clone FILES|FS, a file opened and closed' => [ 'exit 0', sub { status(sub { open my $fh, '<', '/dev/null' or return 1; 0 }, CLONE_FILES | CLONE_FS) } ],
    'clone PIDFD'              => [ 'exit 0', sub { my $end = reap(Linux::Clone::clone(sub { 0 }, 0, CLONE_PIDFD | SIGCHLD, my $pidfd)); POSIX::close($pidfd) or die "close: $!\n"; $end } ],
    'clone with thread ids'    => [ 'exit 1', sub { my $end = reap(Linux::Clone::clone(sub { $_[0] // 1 }, 0, CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD, my $ptid, undef, my $ctid)); $ptid > 1 or die "no id\n"; $end } ],
    'clone with a stack'       => [ 'exit 0', sub { status(sub { 0 }, 0, 300_000) } ],
    'clone3 with keys'         => [
        'exit 0',
        sub {
            my $pid = pid_of(clone3(sub { 0 }, {
                flags => CLONE_CLEAR_SIGHAND | CLONE_PARENT_SETTID, exit_signal => SIGCHLD,
                pidfd => \my $pidfd, parent_tid => \my $ptid, child_tid => \my $ctid,
            }));
            my $end = reap($pid);
            POSIX::close($pidfd) or die "close: $!\n";
            $ptid == $pid or die "no id\n";
            return $end;
        },
    ],
    'clone3 VM|VFORK'          => [ 'exit 0', sub { reap(clone3(sub { 0 }, { flags => CLONE_VM | CLONE_VFORK })) } ],
    'kcmp, setns, unshare'     => [
        'exit 0',
        sub {
            status(sub {
                kcmp($$, getppid, KCMP_VM) > 0 or return 1;
                (setns($uts, CLONE_NEWUTS) == 0) == $may_setns or return 2;
                unshare(CLONE_FILES | CLONE_FS) == 0 or return 3;
                return 0;
            });
        },
    ],
    'pidfd_open, a signal, waitid' => [
        '9',
        sub {
            my $pid = CloneTest::spawn(sub { sleep 60 });
            my $fd = pidfd_open($pid);
            pidfd_send_signal($fd, 'KILL') == 0 or die "pidfd_send_signal: $!\n";
            my (undef, undef, undef, $status) = waitid(P_PIDFD, $fd, WEXITED) or die "waitid: $!\n";
            POSIX::close($fd) or die "close: $!\n";
            return $status;
        },
    ],
    'spawn code'               => [ 'exit 3', sub { end(code => sub { 3 }) } ],
    'spawn exec'               => [ 'exit 0', sub { end(exec => [$true]) } ],
    'spawn exec with options'  => [ 'exit 0', sub { end(exec => [ $true, 'x' x 100 ], env => { A => 1, B => 'x' x 100 }, cwd => '/', stdin => $null, stdout => $null, parent_death => 'KILL') } ],
    'spawn with maps'          => [ 'exit 3', sub { end(code => sub { 3 }, uid_map => 'root', gid_map => 'root') } ],
    'spawn exec with maps'     => [ 'exit 0', sub { end(exec => [$true], uid_map => 'root', gid_map => 'root') } ],
    'spawn, not waited for'    => [ 'exit 0', sub { spawn(exec => [$true]) or die "$Linux::Clone::error\n"; wait; CloneTest::ended() } ],
    'spawn, kill_on_destroy'   => [ '', sub { (spawn(code => sub { sleep 60 }) or die "$Linux::Clone::error\n")->kill_on_destroy('KILL'); '' } ],
    'spawn, refused'           => [ '', sub { spawn(exec => ['/no/such']) and die "a child\n"; '' } ],
    'clone3 NEWTIME'           => [ 'exit 0', sub { reap(clone3(sub { 0 }, { flags => namespace_flags(CLONE_NEWTIME) })) } ],
    'unshare in a child'       => [ 'exit 0', sub { status(sub { unshare(namespace_flags(CLONE_NEWNS | CLONE_NEWUTS)) == 0 ? 0 : $! + 0 }) } ],
    (map { my $flag = Linux::Clone->can("NEW$_")->(); ("clone NEW$_" => [ 'exit 0', sub { status(sub { 0 }, namespace_flags($flag)) } ]) }
        qw(USER PID NS UTS IPC CGROUP NET)),
);

my @figures = qw(VmSize VmRSS mappings descriptors children SVs);

sub measure {
    # without this process's own stack, which grows to what the deepest signal handler needed
    return (status_field('VmSize') - status_field('VmStk'), status_field('VmRSS'), scalar(mappings()), descriptors(), children(), PerlXS::Test::sv_count());
}

# times(2) counts hundredths of a second, of which a thousand of the fastest takes four
my $block = 5000;

# what of these figures has grown by more than it may
sub grown {
    my %grown;
    @grown{@figures} = @_;
    return map { "$_ $grown{$_}" } grep { $grown{$_} > ($allowed{$_} // 0) } @figures;
}

# n turns: the figures' growth, the time, and the processor time of each block, children's too.
sub turns {
    my ($expected, $turn) = @_;
    # all that this loop itself needs is there before it is counted
    my @at = (0) x (1 + int($n / $block));
    my ($start, $got) = (time, '');
    my @before = (0) x @figures;
    @before = measure() for 1 .. 20;
    $at[0] = sum(times);
    for my $done (1 .. $n) {
        $got = $turn->();
        $got eq $expected or die "$got, not $expected\n";
        $at[ $done / $block ] = sum(times) if $done % $block == 0;
    }
    my ($took, $cpu) = (time - $start, sum(times) - $at[0]);
    my @after = measure();
    return ($took, $cpu, (map { $after[$_] - $before[$_] } 0 .. $#figures), map { $at[$_] - $at[ $_ - 1 ] } 1 .. $#at);
}

# Runs a kind in this process. malloc takes and gives memory by the hundred kB, at a moment that
# chance decides: what is lost with each turn is still lost in the third round.
sub soak {
    my ($expected, $turn) = @_;
    for (1 .. min(1000, $n)) {
        my $got = $turn->();
        $got eq $expected or die "$got, not $expected\n";
    }
    my @result;
    for my $round (1 .. 3) {
        @result = turns($expected, $turn);
        last if !grown(@result[ 2 .. 1 + @figures ]);
    }
    return @result;
}

my @names = sort grep { my $name = $_; !@ARGV || grep { $name =~ $_ } @ARGV } keys %kinds;
my %running;

# why the kernel refuses such a child, if it does
sub refusal {
    my ($name) = @_;
    return '' if $name !~ /NEW|maps|unshare in/;
    my ($expected, $turn) = @{ $kinds{$name} };
    my $got = eval { $turn->() } // $@;
    return $got eq $expected ? '' : $got;
}

my $line = "%-41s %7s %8s %8s %6s %6s" . ' %5s' x (@figures - 2) . '   %s';
diag sprintf $line, 'kind', 'clones', 'ms wall', 'ms cpu', map({ substr $_, 0, 6 } @figures), 'last/first';
sub report {
    my ($name, $result) = @_;
    if ($result !~ /^[\d. e+-]+$/) {
        my $why = refusal($name);
        SKIP: { skip "the kernel refuses $name: $why", 2 if $why =~ /^clone: |errno|: clone: /; fail "$name: $result" }
        return;
    }
    my ($took, $cpu, @rest) = split ' ', $result;
    my @growth = splice @rest, 0, @figures;
    my @best = map { min(@$_) } @rest >= 8 ? ([ @rest[ 0 .. 3 ] ], [ @rest[ -4 .. -1 ] ]) : ();
    diag sprintf $line, $name, $n, map({ sprintf '%.3f', $_ } 1000 * $took / $n, 1000 * $cpu / $n),
        map({ sprintf '%+d', $_ } @growth), @best && $best[0] ? sprintf '%.2f', $best[1] / $best[0] : '-';
    is join(' ', grown(@growth)), '', "$n times $name: nothing grows";
    SKIP: {
        skip 'too few to tell the first from the last', 1 if !@best;
        cmp_ok $best[1], '<', $slower * $best[0], "$name: the last thousands are as fast as the first";
    }
    return;
}

# two at a time, each in a process of its own
my @waiting = @names;
while (@waiting || %running) {
    while (@waiting && keys %running < 2) {
        my $name = shift @waiting;
        pipe my $read, my $write or die "pipe: $!";
        my $pid = fork // die "fork: $!";
        if (!$pid) {
            close $read;
            my @result = eval { soak(@{ $kinds{$name} }) };
            my $error = $@;
            $error =~ s/\n/ /g;
            syswrite $write, $error ? "error $error" : "@result";
            POSIX::_exit(0);
        }
        close $write;
        $running{$pid} = [ $name, $read ];
    }
    my $pid = wait;
    my ($name, $read) = @{ delete $running{$pid} // die "a stranger: $pid" };
    report($name, do { local $/; <$read> } // "status $?");
}

done_testing;
