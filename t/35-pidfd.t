# pidfd_open, pidfd_send_signal and waitid.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest qw(:DEFAULT kernel_since);
use Config;
use Linux::Clone qw(:wait pidfd_open pidfd_send_signal waitid);
use Fcntl qw(F_GETFD F_GETFL FD_CLOEXEC);
use IO::File ();
use POSIX qw(EAGAIN EBADF ECHILD EINVAL ENOENT EPERM ESRCH SIGCHLD SIGCONT SIGKILL SIGSTOP SIGTERM SIGUSR1);

my $refusal = waitid_refusal();
plan skip_all => $refusal if $refusal ne '';

# The result, or the errno where it says that there is one.
sub errno_of { my ($code) = @_; $! = 0; my @got = $code->(); return !@got || $got[0] == -1 ? $! + 0 : "@got" }

# A child that sleeps until it is killed.
sub sleeper { return spawn(sub { sleep 60; 0 }, $_[0] // 0) }

sub nap { select undef, undef, undef, $_[0]; return }

my $uid = $<;

# ---- pidfd_open ----

{
    my $pid = sleeper();
    $! = 77;
    my $fd = pidfd_open($pid);
    cmp_ok $fd, '>', 2, 'pidfd_open: a descriptor';
    is $! + 0, 77, '$! is as it was';
    open my $pidfd, '<&=', $fd or die $!;
    ok fcntl($pidfd, F_GETFD, 0) & FD_CLOEXEC, 'close-on-exec';
    is fd_field($fd, 'Pid'), $pid, 'of that process';
    my $ready = '';
    vec($ready, $fd, 1) = 1;
    is select(my $before = $ready, undef, undef, 0), 0, 'a process that runs: not readable';

    # ---- pidfd_send_signal, by all that is a handle ----
    open PIDFD, '<&', $pidfd or die $!;
    my $object = IO::File->new_from_fd($fd, 'r') or die $!;
    for ([ 'number', $fd ], [ 'string', "$fd" ], [ 'handle', $pidfd ], [ 'glob', *$pidfd ], [ 'reference', \*PIDFD ],
        [ 'IO object', *PIDFD{IO} ], [ 'IO::File', $object ], [ 'name', 'PIDFD' ])
    {
        my ($what, $handle) = @$_;
        is pidfd_send_signal($handle, 0), 0, "signal 0 by a $what";
        is_deeply [ waitid(P_PIDFD, $handle, WEXITED | WNOHANG) ], [ 0, 0, 0, 0 ], "waitid by a $what: nothing yet";
    }
    is pidfd_send_signal(PIDFD, 0), 0, 'signal 0 by a bareword';
    is_deeply [ waitid(P_PIDFD, PIDFD, WEXITED | WNOHANG) ], [ 0, 0, 0, 0 ], 'waitid by a bareword';
    is scalar(waitid(P_PIDFD, $pidfd, WEXITED | WNOHANG)), 0, 'in scalar context: 0';
    close PIDFD;
    is errno_of(sub { pidfd_send_signal(\*PIDFD, 0) }), EBADF, 'a closed handle: EBADF';
    is errno_of(sub { waitid(P_PIDFD, \*PIDFD, WEXITED) }), EBADF, 'with waitid too';
    open my $memory, '<', \'x' or die $!;
    is errno_of(sub { pidfd_send_signal($memory, 0) }), EBADF, 'a handle in memory: EBADF';
    open my $null, '<', '/dev/null' or die $!;
    is errno_of(sub { pidfd_send_signal($null, 0) }), EBADF, 'no pidfd: EBADF';
    is errno_of(sub { waitid(P_PIDFD, $null, WEXITED) }), EBADF, 'with waitid: EBADF';
    is errno_of(sub { pidfd_send_signal(-1, 0) }), EBADF, '-1: EBADF';
    is errno_of(sub { pidfd_send_signal($pidfd, 65) }), EINVAL, 'signal 65: EINVAL';
    is errno_of(sub { pidfd_send_signal($pidfd, -1) }), EINVAL, 'signal -1: EINVAL';
    is errno_of(sub { pidfd_send_signal($pidfd, 0, 1 << 31) }), EINVAL, 'a flag that there is not: EINVAL';
    is pidfd_send_signal($pidfd, 0, undef), 0, 'undef for the flags';
    is pidfd_send_signal($pidfd, 'ZERO'), 0, 'the name of signal 0';

    # ---- stopped, continued, ended ----
    is pidfd_send_signal($pidfd, SIGSTOP), 0, 'SIGSTOP';
    is_deeply [ waitid(P_PIDFD, $fd, WSTOPPED | WNOWAIT) ], [ $pid, $uid, CLD_STOPPED, SIGSTOP ], 'stopped';
    is_deeply [ waitid(P_PID, $pid, WSTOPPED) ], [ $pid, $uid, CLD_STOPPED, SIGSTOP ], 'WNOWAIT has left it';
    is_deeply [ waitid(P_PID, $pid, WSTOPPED | WNOHANG) ], [ 0, 0, 0, 0 ], 'told once only without it';
    is pidfd_send_signal($pidfd, 'CONT'), 0, 'CONT';
    is_deeply [ waitid(P_PID, $pid, WCONTINUED | WEXITED) ], [ $pid, $uid, CLD_CONTINUED, SIGCONT ], 'continued';
    is pidfd_send_signal($pidfd, 'SIGTERM'), 0, 'SIGTERM by its name';
    is select($ready, undef, undef, 30), 1, 'a process that has ended: readable';
    my $status = $?;
    is_deeply [ waitid(P_PIDFD, $pidfd, WEXITED | WNOWAIT) ], [ $pid, $uid, CLD_KILLED, SIGTERM ], 'killed, left as it is';
    is pidfd_send_signal($pidfd, 0), 0, 'a zombie can be signalled';
    is scalar(waitid(P_PIDFD, $pidfd, WEXITED)), $pid, 'in scalar context: the process id';
    is $?, $status, '$? is as it was';
    is errno_of(sub { waitid(P_PIDFD, $pidfd, WEXITED) }), ECHILD, 'once more: ECHILD';
    is scalar(waitid(P_PIDFD, $pidfd, WEXITED)), undef, 'in scalar context: undef';
    is errno_of(sub { pidfd_send_signal($pidfd, 0) }), ESRCH, 'a signal: ESRCH';
    is errno_of(sub { pidfd_open($pid) }), ESRCH, 'pidfd_open: ESRCH';
}
is errno_of(sub { pidfd_open(0) }), EINVAL, 'pidfd_open 0: EINVAL';
is errno_of(sub { pidfd_open(-1) }), EINVAL, 'pidfd_open -1: EINVAL';
is errno_of(sub { pidfd_open($$, 1) }), EINVAL, 'pidfd_open with a flag that there is not: EINVAL';
SKIP: {
    skip 'this perl has no threads', 2 if !$Config{useithreads};
    my ($output) = perl_output(<<'PERL');
        use threads; use Linux::Clone qw(pidfd_open PIDFD_THREAD); $| = 1;
        my $thread = threads->create(sub { sleep 60 });
        my ($tid) = grep { $_ != $$ } map { m{(\d+)\z} } glob '/proc/self/task/*';
        print pidfd_open($tid) == -1 ? $! + 0 : 'done', ' ', pidfd_open($tid, PIDFD_THREAD) == -1 ? $! + 0 : 'done';
        POSIX::_exit(0) if require POSIX;
PERL
    my ($plain, $flagged) = split / /, $output;
    # 6.18 says ENOENT
    ok $plain == ENOENT || $plain == EINVAL && !kernel_since('6.18'), 'pidfd_open of a thread that does not lead its process' or diag $output;
    ok $flagged eq 'done' || $flagged == EINVAL && !kernel_since('6.9'), 'PIDFD_THREAD takes it' or diag $output;
}
{
    my $fd = pidfd_open($$, undef);
    cmp_ok $fd, '>', 2, 'of this process; undef for the flags';
    is errno_of(sub { waitid(P_PIDFD, $fd, WEXITED) }), ECHILD, 'which is no child';
    my $got = 0;
    local $SIG{USR1} = sub { $got++ };
    is pidfd_send_signal($fd, SIGUSR1), 0, 'a signal to this process';
    is $got, 1, 'arrives';
    POSIX::close($fd);
    is errno_of(sub { pidfd_send_signal($fd, 0) }), EBADF, 'a closed number: EBADF';
}
SKIP: {
    my $pid = sleeper();
    my $fd = pidfd_open($pid, PIDFD_NONBLOCK);
    skip kernel_refuses('PIDFD_NONBLOCK'), 2 if $fd == -1;
    is errno_of(sub { waitid(P_PIDFD, $fd, WEXITED) }), EAGAIN, 'PIDFD_NONBLOCK: EAGAIN';
    is_deeply [ waitid(P_PIDFD, $fd, WEXITED | WNOHANG) ], [ 0, 0, 0, 0 ], 'with WNOHANG: nothing';
    POSIX::close($fd);
}
{
    kill KILL => ProcessTest::child_ids();
    1 while waitpid(-1, 0) > 0;
}
SKIP: {
    my $fd = pidfd_open($$, PIDFD_THREAD);
    skip kernel_refuses('PIDFD_THREAD'), 2 if $fd == -1;
    is pidfd_send_signal($fd, 0, PIDFD_SIGNAL_THREAD), 0, 'PIDFD_THREAD and PIDFD_SIGNAL_THREAD';
    is pidfd_send_signal($fd, 0, PIDFD_SIGNAL_THREAD_GROUP), 0, 'PIDFD_SIGNAL_THREAD_GROUP';
    POSIX::close($fd);
}
SKIP: {
    # root plays another user; others find one where process 1 is not theirs
    my $other = $> == 0 ? $$ : 1;
    skip "process 1 is this user's own", 1 if $other == 1 && (stat '/proc/1')[4] == $>;
    my $fd = pidfd_open($other);
    my $end = status(sub {
        POSIX::setuid(65534) if $> == 0;
        return errno_of(sub { pidfd_send_signal($fd, 0) });
    });
    is $end, 'exit ' . EPERM, "another user's process: EPERM";
    POSIX::close($fd);
}


# ---- waitid ----

{
    my $pid = spawn(sub { 200 });
    is_deeply [ waitid(P_PID, $pid, WEXITED) ], [ $pid, $uid, CLD_EXITED, 200 ], 'P_PID: exited';
    $pid = spawn(sub { kill KILL => $$; 0 });
    is_deeply [ waitid(P_ALL, 0, WEXITED) ], [ $pid, $uid, CLD_KILLED, SIGKILL ], 'P_ALL: killed';
    $pid = spawn(sub { 0 });
    is_deeply [ waitid(P_ALL, undef, WEXITED) ], [ $pid, $uid, CLD_EXITED, 0 ], 'P_ALL does not look at $id';
    $pid = spawn(sub { setpgrp; sleep 60; 0 });
    nap(0.01) until getpgrp($pid) == $pid;
    is errno_of(sub { waitid(P_PGID, getpgrp, WEXITED | WNOHANG) }), ECHILD, 'P_PGID: none in this group';
    kill TERM => $pid;
    is_deeply [ waitid(P_PGID, $pid, WEXITED) ], [ $pid, $uid, CLD_KILLED, SIGTERM ], 'P_PGID: one in its own';
    is errno_of(sub { waitid(P_ALL, 0, WEXITED) }), ECHILD, 'no child: ECHILD';
    is_deeply [ waitid(P_ALL, 0, WEXITED) ], [], 'and the empty list';
    is errno_of(sub { waitid(P_ALL, 0, 0) }), EINVAL, 'no options: EINVAL';
    is errno_of(sub { waitid(P_ALL, 0, WEXITED | 1 << 20) }), EINVAL, 'an option that there is not: EINVAL';
    is errno_of(sub { waitid(17, 1, WEXITED) }), EINVAL, 'a type that there is not: EINVAL';
    is errno_of(sub { waitid(-1, 1, WEXITED) }), EINVAL, 'a negative one: EINVAL';
    is errno_of(sub { waitid(P_PID, 0, WEXITED) }), EINVAL, 'process 0: EINVAL';
    is errno_of(sub { waitid(P_PIDFD, -1, WEXITED) }), EINVAL, 'descriptor -1: EINVAL';
    ok !eval { waitid(P_PID, \*STDIN, WEXITED); 1 }, 'a handle is no process id';
    like $@, qr/^Linux::Clone::waitid: \$id must be an integer, not a reference to a GLOB at \Q$0\E line \d+\.$/, 'and it says so';
}
{
    my $pid = spawn(sub { 0 });
    $! = 78;
    waitid(P_PID, $pid, WEXITED);
    is $! + 0, 78, 'success leaves $! as it was';
}

# Children without SIGCHLD.
{
    my $quiet = Linux::Clone::clone(sub { 5 }, 0, 0);
    is errno_of(sub { waitid(P_PID, $quiet, WEXITED) }), ECHILD, 'an exit signal of 0: not found';
    is_deeply [ waitid(P_PID, $quiet, WEXITED | __WALL) ], [ $quiet, $uid, CLD_EXITED, 5 ], 'but with __WALL';
    $quiet = Linux::Clone::clone(sub { 6 }, 0, 0);
    is_deeply [ waitid(P_ALL, 0, WEXITED | __WCLONE) ], [ $quiet, $uid, CLD_EXITED, 6 ], 'and with __WCLONE';
    $quiet = Linux::Clone::clone(sub { 7 }, 0, 0);
    is_deeply [ waitid(P_ALL, 0, WEXITED | __WALL | __WNOTHREAD) ], [ $quiet, $uid, CLD_EXITED, 7 ], "and with __WNOTHREAD this thread's";
    my $loud = spawn(sub { 8 });
    is errno_of(sub { waitid(P_PID, $loud, WEXITED | __WCLONE) }), ECHILD, 'one with SIGCHLD: not with __WCLONE';
    is_deeply [ waitid(P_PID, $loud, WEXITED | __WALL) ], [ $loud, $uid, CLD_EXITED, 8 ], 'but with __WALL';
}
SKIP: {
    my $pid = Linux::Clone::clone(sub { 9 }, 0, SIGCHLD | Linux::Clone::PIDFD, my $fd);
    skip kernel_refuses('PIDFD'), 1 if $pid == -1;
    is_deeply [ waitid(P_PIDFD, $fd, WEXITED) ], [ $pid, $uid, CLD_EXITED, 9 ], "clone's own pidfd";
    POSIX::close($fd);
}

# ---- signals while it sleeps ----

{
    my ($handled, $who) = (0);
    local $SIG{USR1} = sub { $handled++ };
    my $parent = $$;
    my $pid = spawn(sub { for (1 .. 3) { nap(0.05); kill USR1 => $parent } nap(0.1); 11 });
    is_deeply [ waitid(P_PID, $pid, WEXITED) ], [ $pid, $uid, CLD_EXITED, 11 ], 'it goes on after signals';
    is $handled, 3, 'whose handlers have run';

    # while it sleeps, not after
    my $child = sleeper();
    local $SIG{USR1} = sub { kill KILL => $child };
    my $killer = spawn(sub { nap(0.1); kill USR1 => $parent; 0 });
    is_deeply [ waitid(P_PID, $child, WEXITED) ], [ $child, $uid, CLD_KILLED, SIGKILL ], 'a handler that ends what is waited for';
    waitid(P_PID, $killer, WEXITED);
}
for my $safe (1, 0) {
    my $what = $safe ? 'a deferred' : 'an immediate';
    my $action = POSIX::SigAction->new(sub { die "enough\n" }, POSIX::SigSet->new, 0);
    $action->safe($safe);
    POSIX::sigaction(SIGUSR1, $action) or die $!;
    my $parent = $$;
    my $pid = spawn(sub { nap(0.1); kill USR1 => $parent; nap(0.1); 12 });
    ok !eval { waitid(P_PID, $pid, WEXITED); 1 }, "$what handler that dies";
    is $@, "enough\n", 'ends it';
    is_deeply [ waitid(P_PID, $pid, WEXITED) ], [ $pid, $uid, CLD_EXITED, 12 ], 'and takes no status along';
    my $mask = POSIX::SigSet->new;
    POSIX::sigprocmask(POSIX::SIG_BLOCK(), POSIX::SigSet->new, $mask);
    is_deeply [ grep { $mask->ismember($_) } 1 .. 31 ], [], 'nor is a signal blocked after it';
    $SIG{USR1} = 'DEFAULT';
}
{
    # the signal that comes when there is something to tell
    POSIX::sigaction(SIGCHLD, POSIX::SigAction->new(sub { die "ended\n" })) or die $!;
    for my $turn (1 .. 20) {
        my $pid = spawn(sub { nap(0.01); 13 });
        ok !eval { waitid(P_PID, $pid, WEXITED); 1 }, "an immediate handler for SIGCHLD that dies, $turn";
        is $@, "ended\n", 'ends it';
        is_deeply [ waitid(P_PID, $pid, WEXITED) ], [ $pid, $uid, CLD_EXITED, 13 ], 'and the child is there yet';
    }
    $SIG{CHLD} = 'DEFAULT';
}
{
    # what arrived before it sleeps
    my $handled = 0;
    local $SIG{USR1} = sub { $handled++ };
    my $set = POSIX::SigSet->new(SIGUSR1);
    POSIX::sigprocmask(POSIX::SIG_BLOCK(), $set);
    kill USR1 => $$;
    my $pid = spawn(sub { 0 });
    is_deeply [ waitid(P_PID, $pid, WEXITED) ], [ $pid, $uid, CLD_EXITED, 0 ], 'a signal that the caller has blocked';
    is $handled, 0, 'stays blocked';
    POSIX::sigprocmask(POSIX::SIG_UNBLOCK(), $set);
    is $handled, 1, 'until it is not';
}

# ---- the arguments are read once ----

{
    package Once {
        sub TIESCALAR { my ($class, $value) = @_; return bless { value => $value, n => 0 }, $class }
        sub FETCH { $_[0]{n}++; return $_[0]{value} }
    }
    my $pid = spawn(sub { 0 });
    my $fd = pidfd_open($pid);
    open my $pidfd, '<&=', $fd or die $!;
    my @ties;
    my $once = sub { push @ties, tie $_[0], 'Once', $_[1]; return };
    $once->(my $type, P_PIDFD), $once->(my $handle, $pidfd), $once->(my $options, WEXITED | WNOWAIT), $once->(my $signal, 'TERM');
    $once->(my $zero, 0);
    is scalar(waitid($type, $handle, $options)), $pid, 'tied arguments';
    is pidfd_send_signal($handle, $signal, $zero), 0, 'and of pidfd_send_signal';
    is_deeply [ map { $_->{n} } @ties ], [ 1, 2, 1, 1, 1 ], 'are read once a call';
    waitpid $pid, 0;
}
{
    package Dying { sub TIESCALAR { bless [] } sub FETCH { die "no value\n" } }
    tie my $dying, 'Dying';
    for ([ pid => sub { pidfd_open($dying) } ], [ pidfd => sub { pidfd_send_signal($dying, 0) } ], [ sig => sub { pidfd_send_signal(0, $dying) } ],
        [ id => sub { waitid(P_PIDFD, $dying, WEXITED) } ], [ options => sub { waitid(P_ALL, 0, $dying) } ])
    {
        my ($what, $code) = @$_;
        ok !eval { $code->(); 1 }, "\$$what that dies";
        is $@, "no value\n", 'is heard';
    }
}

# ---- PIDFD_SELF ----

for ([ 'PIDFD_SELF_THREAD', -10_000 ], [ 'PIDFD_SELF_THREAD_GROUP', -10_001 ]) {
    my ($name, $number) = @$_;
    is errno_of(sub { pidfd_send_signal($number, 0) }), kernel_since('6.17') ? 0 : EBADF, "$name: a signal"
        if kernel_since('6.17') || !kernel_since('6.14');
    is errno_of(sub { waitid(P_PIDFD, $number, WEXITED | WNOHANG) }), EINVAL, 'but waitid does not take it';
    is errno_of(sub { Linux::Clone::setns($number, Linux::Clone::NEWUTS()) }), EBADF, 'nor setns';
}

# ---- nothing is left behind ----

{
    my $descriptors = descriptors();
    for (1 .. 300) {
        my $pid = spawn(sub { 0 });
        my $fd = pidfd_open($pid);
        pidfd_send_signal($fd, 'KILL');
        my @found = waitid(P_PIDFD, $fd, WEXITED);
        die "waitid: $!" if !@found;
        POSIX::close($fd);
        pidfd_open($pid);
    }
    is descriptors(), $descriptors, '300 pidfds: no descriptor more';
    is children(), 0, 'and no child';
}

done_testing;
