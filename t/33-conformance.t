# Flags against what clone(2), clone3 and unshare(2) say of them, each refusal with its errno, and
# nothing left behind: no process, descriptor, mapping or scalar.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest qw(:DEFAULT kernel_since);
use POSIX qw(SIGCHLD EINVAL EPERM EBADF EEXIST ENOMEM);

my $root = $> == 0;
my $shared = Linux::Clone::VM() | Linux::Clone::VFORK();
sub bits { my $bits = 0; $bits |= Linux::Clone->can($_)->() for split /\|/, shift; return $bits }

# What there is now.
sub state_of { return join ' ', children(), descriptors(), stacks() }

# A row: flags, what the call needs besides, the errno, and from which kernel on.
my @clone = (
    [ 'SIGHAND',                        EINVAL,    'SIGHAND without VM' ],
    [ 'THREAD',                         EINVAL,    'THREAD without SIGHAND' ],
    [ 'VM|VFORK|THREAD',                EINVAL,    'THREAD without SIGHAND, with VM' ],
    [ 'NEWNS|FS',                       EINVAL,    'NEWNS with FS' ],
    [ 'NEWUSER|FS',                     EINVAL,    'NEWUSER with FS' ],
    [ 'VM|VFORK|SIGHAND|THREAD|NEWPID', EINVAL,    'NEWPID with THREAD' ],
    [ 'VM|VFORK|SIGHAND|THREAD|NEWUSER', EINVAL,   'NEWUSER with THREAD' ],
    [ 'NEWIPC|SYSVSEM',                 $root ? EINVAL : EPERM, 'NEWIPC with SYSVSEM' ],
    [ 'NEWUSER|NEWIPC|SYSVSEM',         EINVAL,    'the same in a user namespace' ],
);
my @clone_only = (
    [ 'PIDFD|PARENT_SETTID',            EINVAL,    'PIDFD with PARENT_SETTID: one place for two', '5.2' ],
    [ 'PIDFD|DETACHED',                 EINVAL,    'PIDFD with DETACHED', '5.2' ],
);
my @clone3_only = (
    [ 'DETACHED',                       EINVAL,    'DETACHED' ],
    [ 'VM|VFORK|SIGHAND|CLEAR_SIGHAND', EINVAL,    'SIGHAND with CLEAR_SIGHAND', '5.5' ],
);
if (!$root) {
    push @clone, map { [ $_, EPERM, "$_ without privilege" ] } qw(NEWNS NEWUTS NEWIPC NEWNET NEWPID NEWCGROUP);
}

my $has_clone3 = do { my $pid = Linux::Clone::clone3(sub { 0 }, {}); waitpid $pid, 0 if $pid > 0; $pid > 0 };
diag "no clone3 here: $!" if !$has_clone3;
Linux::Clone::clone(sub { 0 }, 0, SIGCHLD) > 0 and wait;    # so that a stack is kept

for my $row (@clone, @clone_only) {
    my ($names, $errno, $text, $since) = @$row;
    SKIP: {
        skip "$text: since Linux $since", 2 if $since && !kernel_since($since);
        skip "$text: not under valgrind", 2 if bits($names) & $CloneTest::beyond_valgrind;
        my $before = state_of();
        my $ptid;
        my $pid = Linux::Clone::clone(sub { 0 }, 0, bits($names) | ($names =~ /THREAD/ ? 0 : SIGCHLD), $ptid);
        is $pid == -1 ? $! + 0 : "pid $pid", $errno, "clone: $text";
        is state_of() . ' ' . ($ptid // 'undef'), "$before undef", 'nothing is left behind';
    }
}
for my $row (@clone, @clone3_only) {
    my ($names, $errno, $text, $since) = @$row;
    SKIP: {
        skip 'no clone3', 2 if !$has_clone3;
        skip "$text: since Linux $since", 2 if $since && !kernel_since($since);
        my $before = state_of();
        my $pid = Linux::Clone::clone3(sub { 0 }, { flags => bits($names) });
        is $pid == -1 ? $! + 0 : "pid $pid", $errno, "clone3: $text";
        is state_of(), $before, 'nothing is left behind';
    }
}

# clone3's other fields
SKIP: {
    skip 'no clone3', 18 if !$has_clone3;
    for my $row (
        [ { flags => SIGCHLD },                        EINVAL, 'a signal in the flags' ],
        [ { exit_signal => 65 },                       EINVAL, 'an exit signal out of range' ],
        [ { exit_signal => 256 },                      EINVAL, 'one that is not in a byte' ],
        [ { cgroup => -1 },                            EINVAL, 'cgroup -1', '5.7' ],
        [ { cgroup => 0 },                             EBADF,  'cgroup: not one', '5.7' ],
        [ { cgroup => 1 << 20 },                       EBADF,  'cgroup: not open', '5.7' ],
        [ { set_tid => [$$] },                         $root ? EEXIST : EPERM, 'set_tid: used, or without privilege', '5.5' ],
        [ { set_tid => [0] },                          EINVAL, 'set_tid: reserved', '5.5' ],
        [ { set_tid => [1] },                          $root ? EINVAL : EPERM, 'set_tid: 1, where there is one', '5.5' ],
      )
    {
        my ($args, $errno, $text, $since) = @$row;
        skip "$text: since Linux $since", 2 if $since && !kernel_since($since);
        open STDIN, '<', '/dev/null' or die $!;
        my $before = state_of();
        my $pid = Linux::Clone::clone3(sub { 0 }, $args);
        # the kernel reads set_tid's rights and the init's id in an order that has changed
        my @errnos = $text =~ /set_tid: 1/ ? (EINVAL, EEXIST, EPERM) : $errno;
        ok $pid == -1 && (grep { $_ == $! } @errnos), "clone3: $text" or diag $pid == -1 ? "errno $!" : "pid $pid";
        is state_of(), $before, 'nothing is left behind';
    }
}

# ---- unshare: each flag that it does not take ----

for my $name (qw(VFORK PTRACE SETTLS PARENT_SETTID CHILD_SETTID CHILD_CLEARTID DETACHED UNTRACED IO PIDFD PARENT CLEAR_SIGHAND INTO_CGROUP)) {
    my $before = state_of();
    is Linux::Clone::unshare(bits($name)), -1, "unshare $name";
    is $! + 0, EINVAL, 'EINVAL';
    is state_of(), $before, 'nothing is left behind';
}
for my $name (qw(FILES FS SYSVSEM)) {
    is status(sub { Linux::Clone::unshare(bits($name)) == 0 ? 3 : 4 }), 'exit 3', "unshare $name is taken";
}
for my $name (qw(VM SIGHAND THREAD)) {
    is status(sub { Linux::Clone::unshare(bits($name)) == 0 ? 3 : 4 }), 'exit 3', "unshare $name, in a process of one thread, is taken";
}
SKIP: {
    my $flags = namespace_flags(Linux::Clone::NEWPID());
    needs($flags, 3);
    is result(sub {
        Linux::Clone::unshare($flags) == 0 or return "unshare: $!";
        return Linux::Clone::unshare(Linux::Clone::NEWPID()) == -1 ? $! + 0 : 'done';
    }), EINVAL, 'unshare NEWPID twice';
    is result(sub {
        Linux::Clone::unshare($flags) == 0 or return "unshare: $!";
        my $init = fork // return "fork: $!";
        POSIX::_exit(0) if !$init;
        waitpid $init, 0;
        my $pid = fork;
        POSIX::_exit(0) if defined $pid && !$pid;
        return defined $pid ? "pid $pid" : $! + 0;
    }), ENOMEM, 'fork after the init of an unshared PID namespace has ended';
    is result(sub {
        Linux::Clone::unshare($flags) == 0 or return "unshare: $!";
        waitpid spawn(sub { 0 }), 0;
        return Linux::Clone::clone(sub { 0 }, 0, SIGCHLD) == -1 ? $! + 0 : 'done';
    }), ENOMEM, 'and clone';
}

done_testing;
