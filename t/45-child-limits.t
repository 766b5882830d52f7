# The object of spawn: how long it waits, and what it does about a child that does not end.
use strict;
use warnings;
# a process of this test that ends by _exit would leave what Test2 has for threads
BEGIN { $ENV{T2_NO_IPC} = 1 }
use FindBin;
use lib "$FindBin::Bin/lib";
use Config;
use Test::More;
use CloneTest qw(arm kernel_refuses descriptors children namespace_flags needs perl_output slurp nr);
use FaultTest qw(apart rlimit seccomp unprivileged);
use File::Temp ();
use POSIX qw(:errno_h SIGCHLD SIGKILL SIGTERM WNOHANG);
use SpawnTest;
use Time::HiRes qw(sleep time);

plan skip_all => 'valgrind knows no signals by pidfd' if $CloneTest::beyond_valgrind;
if (!defined spawn(exec => ['true'])) {
    plan skip_all => kernel_refuses('spawn') . ": $Linux::Clone::error" if $!{ENOSYS};
    BAIL_OUT($Linux::Clone::error);
}
wait;

# What takes long is tried beside all else, by a process that is nobody's child, so that no test here
# counts it. Returns a handle of what the code prints to its own.
sub beside {
    my ($code) = @_;
    pipe my $read, my $write or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        close $read;
        if (fork // die "fork: $!") { POSIX::_exit(0) }
        eval { $code->($write); 1 } or print {$write} $@;
        close $write;
        POSIX::_exit(0);
    }
    close $write;
    waitpid $pid, 0;
    return $read;
}

# The default.
my $default = beside(sub {
    my ($said) = @_;
    my $start = time;
    { my $child = deaf()->kill_on_destroy('TERM') }
    my $waited = time - $start;
    my $child = deaf();
    $start = time;
    $child->terminate;
    $child->wait;
    printf {$said} "%d %d %d\n", $waited, time - $start, $? & 127;
});

# A child that spawn has to end, and that a tracer has: frozen, so that spawn waits for it.
my $traced = beside(sub {
    my ($said) = @_;
    my ($root) = slurp('/proc/self/mounts') =~ /^\S+ (\S+) cgroup2 /m or die "skip no cgroup2 file system is mounted\n";
    my $group = "$root/linux-clone-limits-$$";
    mkdir $group or die 'skip ' . kernel_refuses('a control group') . "\n";
    my $freeze = sub { open my $fh, '>', "$group/cgroup.freeze" or die 'skip ' . kernel_refuses('to freeze it') . "\n"; syswrite $fh, $_[0] };
    my $tracer;
    my $told = eval {
        opendir my $handle, $group or die "$group: $!";
        $freeze->(1);
        $tracer = fork // die "fork: $!";
        if (!$tracer) {
            sleep 0.3;
            my ($pid) = slurp("$group/cgroup.procs") =~ /(\d+)/;
            POSIX::_exit(1) if syscall(nr('ptrace'), 0x4206, $pid + 0, 0, 0) != 0;    # PTRACE_SEIZE
            sleep 60;
            POSIX::_exit(0);
        }
        my $start = time;
        local $SIG{ALRM} = sub { die "alarm\n" };
        Time::HiRes::alarm(1);
        my $ended = eval { spawn(code => sub { 0 }, cgroup => $handle); 1 } ? 'returned' : $@ =~ s/\n//r;
        my $traces = waitpid($tracer, WNOHANG) == 0 ? 'traced' : 'not traced';
        sprintf "%s %s %d\n", $ended, $traces, time - $start;
    };
    my $error = $@;
    kill KILL => $tracer if $tracer;
    1 while wait != -1;
    eval { $freeze->(0) };
    rmdir $group;
    print {$said} $told // $error;
});

my $inf = 9**9**9;

# A child that has come so far that it sleeps; `before` runs in it first.
sub asleep {
    my ($before, @options) = @_;
    pipe my $read, my $write or die "pipe: $!";
    my $child = spawn(@options, code => sub {
        close $read;
        $SIG{$_} = 'DEFAULT' for qw(TERM ALRM);
        $before->() if $before;
        close $write;
        sleep 1 while 1;
    }) or die "$Linux::Clone::error\n";
    close $write;
    readline $read;
    return $child;
}
# One that does not listen to SIGTERM.
sub deaf { return asleep(sub { $SIG{TERM} = 'IGNORE' }, @_) }
# One that says so when it does.
sub polite {
    my ($said) = @_;
    return asleep(sub { $SIG{TERM} = sub { syswrite $said, 'TERM'; POSIX::_exit(3) } });
}

# Runs the code: what it returns, and the seconds that it took.
sub timed { my ($code) = @_; my $start = time; my $value = $code->(); return ($value, time - $start) }
sub lasts { my ($seconds, $least, $most, $name) = @_; return ok $seconds >= $least && $seconds < $most * $CloneTest::slow, "$name (" . sprintf('%.2f', $seconds) . ' s)' }
sub gone { my ($pid) = @_; return !kill 0, $pid }
sub end_it { my ($child) = @_; $child->kill('KILL'); $child->wait; return }

my $before = join ' ', descriptors(), children();

# ---- wait with a time limit ----

{
    my $child = asleep();
    $? = 5;
    $! = 7;
    my ($told, $took) = timed(sub { $child->wait(0) });
    is_deeply [ $told, $?, $! + 0 ], [ undef, -1, 7 ], 'wait(0) looks once: undef, $? -1, $! as it was';
    lasts($took, 0, 0.5, 'at once');
    is_deeply [ $child->wait(0) ], [undef], 'one undef, in a list too';
    is $child->running, 1, 'it is running';
    ($told, $took) = timed(sub { $child->wait(0.3) });
    is $told, undef, 'wait(0.3)';
    lasts($took, 0.3, 1, 'waits that long');
    ($told, $took) = timed(sub { $child->wait('0.1') });
    lasts($took, 0.1, 1, 'a string');
    is $child->wait(1e-300), undef, 'next to nothing';
    is $child->running, 1, 'it is still running';
    $child->kill('TERM');
    ($told, $took) = timed(sub { $child->wait(60) });
    is_deeply [ $told, $? ], [ $child->pid, SIGTERM ], 'one that ends: as without a limit';
    lasts($took, 0, 10, 'when it ends');
    is_deeply [ $child->wait(0), $? ], [ $child->pid, SIGTERM ], 'again';
    for my $forever (undef, $inf, 'Inf', 1e10, 1e300, 1 << 62, ~0) {
        my $short = spawn(code => sub { sleep 0.05; 7 }) or die $Linux::Clone::error;
        is_deeply [ $short->wait($forever), $? ], [ $short->pid, 7 << 8 ], 'wait(' . ($forever // 'undef') . ') waits until it ends';
    }
    for ([ 'exit 0', sub { 0 } ], [ 'exit 255', sub { 255 } ], [ 'signal 9', sub { kill KILL => $$; sleep 9 } ]) {
        my ($end, $code) = @$_;
        my $one = spawn(code => $code) or die $Linux::Clone::error;
        is_deeply [ $one->wait(60), CloneTest::ended() ], [ $one->pid, $end ], $end;
    }
    $child = asleep();
    for my $bad (-1, -1e-9, -$inf, -sin($inf), 'soon', '', [], \1, *STDOUT, sub { }) {
        for my $method (sub { $_[0]->wait($bad) }, sub { $_[0]->kill_on_destroy('KILL', $bad) }, sub { $_[0]->terminate('TERM', $bad) }) {
            my $line = __LINE__ - 1;
            ok !eval { $method->($child); 1 }, "@{[ ref $bad || $bad ]} is no time";
            like $@, qr/^Linux::Clone::Child::(?:wait|kill_on_destroy|terminate): \$seconds must be a number of seconds, 0 or more, not .* at \Q$0\E line $line\.$/, 'with the reason, where it was called';
        }
    }
    is $child->running, 1, 'and nothing has happened to it';
    end_it($child);
    ok !eval { $child->wait(-1); 1 }, 'nor is it for one that has ended';

    $child = asleep();
    my ($in_copy) = apart(sub { my ($told, $took) = timed(sub { $child->wait(5) }); return join ' ', $told, $! + 0, $?, $took < 2 ? 'at once' : $took });
    is $in_copy, join(' ', -1, ECHILD, -1, 'at once'), 'in another process: it is no child of that';
    end_it($child);
    $child = spawn(exec => ['true']) or die $Linux::Clone::error;
    waitpid $child->pid, 0;
    ok defined $child->wait(5), 'somebody else has waited for it: as without a limit';
    {
        local $SIG{CHLD} = 'IGNORE';
        $child = spawn(code => sub { sleep 0.2; 3 }) or die $Linux::Clone::error;
        is $child->wait(0.05), undef, 'SIGCHLD ignored: it runs';
        ok defined $child->wait(20), 'it ends';
    }
}

# signal handlers run meanwhile
{
    my $child = asleep();
    my $handled = 0;
    local $SIG{ALRM} = sub { $handled++ };
    Time::HiRes::alarm(0.05, 0.05);
    my ($told, $took) = timed(sub { $child->wait(0.5) });
    Time::HiRes::alarm(0);
    is $told, undef, 'a limit under signals';
    cmp_ok $handled, '>=', 3, "handlers run meanwhile: $handled";
    lasts($took, 0.5, 1.5, 'and do not make it longer');
    $SIG{ALRM} = sub { my $end = time + 0.7; while (time < $end) { } };
    Time::HiRes::alarm(0.1);
    ($told, $took) = timed(sub { $child->wait(0.3) });
    lasts($took, 0.3, 1.4, "a handler's time counts");
    # one signal after the other, so that there is hardly a moment without a handler
    local $SIG{USR1} = sub { my $end = time + 0.005; while (time < $end) { } };
    my $parent = $$;
    my $storm = fork // die "fork: $!";
    if (!$storm) { while (kill USR1 => $parent) { sleep 0.001 } POSIX::_exit(0) }
    ($told, $took) = timed(sub { $child->wait(0.5) });
    kill KILL => $storm;
    waitpid $storm, 0;
    lasts($took, 0.5, 4, 'a storm of them');
    $SIG{ALRM} = sub { die "alarm\n" };
    Time::HiRes::alarm(0.1);
    my $open = descriptors();
    is eval { $child->wait(30); 1 } ? '' : $@, "alarm\n", 'one that dies ends wait';
    is descriptors(), $open, 'and leaves no descriptor';
    $SIG{ALRM} = sub { $child->kill('KILL'); $child->wait };
    Time::HiRes::alarm(0.1);
    is_deeply [ $child->wait(30), $? ], [ $child->pid, SIGKILL ], 'one that waits for the same child';
    arm();
}
{
    # the child ends and a handler dies at about the same time, on a kernel that forgets
    no warnings 'redefine';
    local *Linux::Clone::Child::_status_of = sub { return };
    my ($died, @lost) = (0);
    for my $n (1 .. 300 / $CloneTest::slow) {
        my $child = spawn(code => sub { 7 }) or die $Linux::Clone::error;
        my $waits = 1;
        local $SIG{ALRM} = sub { die "alarm\n" if $waits };
        my $end = eval { Time::HiRes::ualarm(50 + 3 * $n); $child->wait($n % 2 ? undef : 30); $waits = 0; 1 } ? '' : $@;
        $waits = 0;
        Time::HiRes::ualarm(0);
        $died++ if $end ne '';
        my $told = eval { $child->wait(30) } // eval { $child->wait(30) };
        push @lost, "$n: " . ($told // 'undef') . " $?" if ($told // 0) != $child->pid || $? != 7 << 8;
    }
    is_deeply \@lost, [], "no status is lost ($died handlers have died)";
    arm();
}
{
    my @lines = apart(sub {
        my $child = spawn(code => sub { sleep 1 while 1 }) or return $Linux::Clone::error;
        rlimit(NOFILE => 3);
        my ($told, $took) = timed(sub { $child->wait(0.3) });
        $child->kill('KILL');
        return defined $told ? 'told' : 'undef', $took >= 0.3 && $took < 2 * $CloneTest::slow ? 'so long' : $took, $child->wait(20) == $child->pid ? $? : 'lost';
    });
    is_deeply \@lines, [ 'undef', 'so long', 9 ], 'without a descriptor to spare';
}
SKIP: {
    skip 'only root may trace any process', 1 if $> != 0;
    # it has ended, but a tracer has it
    my ($seize, $child) = (0x4206, asleep());
    pipe my $read, my $write or die "pipe: $!";
    my $tracer = fork // die "fork: $!";
    if (!$tracer) {
        alarm 20;
        my $said = syscall(nr('ptrace'), $seize, $child->pid, 0, 0) == 0 ? "traces\n" : kernel_refuses('a trace') . "\n";
        syswrite $write, $said;
        sleep 2;
        POSIX::_exit(0);
    }
    chomp(my $said = readline $read);
    $child->kill('KILL');
    sleep 0.1;
    my ($told, $took) = timed(sub { $child->wait(0.3) });
    kill KILL => $tracer;
    waitpid $tracer, 0;
    my @end = ($child->wait(20), $?);
    skip $said, 3 if $said ne 'traces';
    is $told, undef, 'one that has ended, but is its tracer\'s';
    lasts($took, 0.3, 1, 'so long');
    is_deeply \@end, [ $child->pid, SIGKILL ], 'without the tracer it is there';
}

# ---- kill, where a filter knows no signals by pidfd ----

my ($filters) = defined nr('seccomp') ? apart(sub { seccomp() ? 'yes' : kernel_refuses('filters') }) : 'the tests do not know this architecture\'s system calls';
sub filtered {
    my ($name, $expected, $code, %errors) = @_;
    SKIP: {
        skip $filters, 1 if $filters ne 'yes';
        my @lines = apart(sub {
            my $child = asleep();
            seccomp(%errors) or die $!;
            my @lines = $code->($child);
            CORE::kill(KILL => $child->pid) if $child && $child->running;
            return @lines;
        });
        is_deeply \@lines, $expected, $name;
    }
}
for my $errno (ENOSYS, EPERM) {
    my @filter = (pidfd_send_signal => $errno);
    my $said = do { local $! = $errno; "$!" };
    my $tried = sub { my ($child) = @_; $! = 0; return $child->kill('TERM') . ' ' . ($! + 0) };
    my $ends = sub { my ($child) = @_; return ($tried->($child), $child->wait(20) // 'undef') };
    filtered("$said: kill goes by the process id", [ '1 0', 'pid', SIGTERM ], sub { my ($child) = @_; return ($tried->($child), ($child->wait(20) // 0) == $child->pid ? 'pid' : 'lost', $?) }, @filter);
    filtered("$said: signal 0", ['1'], sub { return $_[0]->kill(0) }, @filter);
    filtered("$said: no such signal", [ '0 ' . EINVAL ], sub { $! = 0; return $_[0]->kill(999) . ' ' . ($! + 0) }, @filter);
    filtered("$said: not if it has been waited for", ["0 $errno"], sub { my ($child) = @_; CORE::kill(KILL => $child->pid); $child->wait; return $tried->($child) }, @filter);
    filtered("$said: not if it may vanish when it ends", ["0 $errno"], sub { local $SIG{CHLD} = 'IGNORE'; return $tried->($_[0]) }, @filter);
    filtered("$said: not in another process", ["0 $errno"], sub { my ($child) = @_; return apart(sub { $tried->($child) }) }, @filter);
    filtered("$said: kill_on_destroy", [ 'gone', 0 ], sub {
        my $pid = $_[0]->pid;
        $_[0]->kill_on_destroy('TERM', 20);
        undef $_[0];
        return gone($pid) ? 'gone' : 'there', children();
    }, @filter);
    filtered("$said: terminate refuses, since nobody could do the rest", [ "0 $errno", 'runs' ], sub {
        my ($child) = @_;
        $! = 0;
        return $child->terminate . ' ' . ($! + 0), $child->running ? 'runs' : 'has ended';
    }, @filter);
}
SKIP: {
    skip 'this perl has no ithreads', 1 if !$Config{useithreads};
    skip $filters, 1 if $filters ne 'yes';
    my ($output) = perl_output(<<'PERL', $FindBin::Bin);
        use lib "$ARGV[0]/lib"; use threads; use Linux::Clone qw(spawn); use FaultTest; use POSIX ();
        my $child = spawn(code => sub { sleep 60 }) or die $Linux::Clone::error;
        my $thread = threads->create(sub { sleep 60 })->detach;
        seccomp(pidfd_send_signal => POSIX::ENOSYS()) or die $!;
        print $child->kill('KILL'), ' ', $! + 0, "\n";
        kill KILL => $child->pid;
        POSIX::_exit(0) if !print '';
        close STDOUT;
        POSIX::_exit(0);
PERL
    is $output, '0 ' . ENOSYS . "\n", 'not beside another thread, which may wait for it';
}

# ---- kill_on_destroy: not for ever ----

{
    # makes a child, and lets it go
    my $destroyed = sub {
        my ($make, @how) = @_;
        my $child = $make->();
        $child->kill_on_destroy(@how);
        my $pid = $child->pid;
        my (undef, $took) = timed(sub { undef $child });
        return (gone($pid) ? 'gone' : 'there', $took);
    };
    my @got = $destroyed->(\&deaf, 'TERM', 0.5);
    is $got[0], 'gone', 'a child that ignores the signal is killed';
    lasts($got[1], 0.5, 3, 'after that time');
    @got = $destroyed->(\&deaf, 'TERM', 0);
    is $got[0], 'gone', 'no time at all';
    lasts($got[1], 0, 2, 'at once');
    @got = $destroyed->(\&asleep, 'TERM', 20);
    lasts($got[1], 0, 3, 'one that listens is not waited for any longer');
    @got = $destroyed->(\&asleep, 'KILL', 20);
    is $got[0], 'gone', 'KILL';
    @got = $destroyed->(\&asleep, 'TERM', $inf);
    is $got[0], 'gone', 'a time without an end';
    my $pid;
    {
        my $child = deaf()->kill_on_destroy('TERM', 20)->kill_on_destroy(undef);
        $pid = $child->pid;
    }
    ok !gone($pid), 'undef takes it back';
    kill KILL => $pid;
    waitpid $pid, 0;

    pipe my $read, my $said or die "pipe: $!";
    my $stopped = sub { my $child = polite($said); close $said; $child->kill('STOP'); sleep 0.1; return $child };
    @got = $destroyed->($stopped, 'TERM', 20);
    is $got[0], 'gone', 'a stopped one';
    lasts($got[1], 0, 5, 'goes on');
    is readline $read, 'TERM', 'and hears of it';

    @got = $destroyed->(sub { my $child = spawn(code => sub { 0 }) or die $Linux::Clone::error; sleep 0.01 while $child->running; return $child }, 'TERM');
    is $got[0], 'gone', 'one that has ended is waited for';

    local $SIG{ALRM} = sub { die "alarm\n" };
    my @warnings;
    {
        local $SIG{__WARN__} = sub { push @warnings, @_ };
        @got = $destroyed->(sub { my $child = deaf(); Time::HiRes::alarm(0.2); return $child }, 'TERM', 60);
    }
    Time::HiRes::alarm(0);
    is $got[0], 'gone', 'a handler that dies while the destructor waits: then it is killed at once';
    lasts($got[1], 0, 5, 'at once');
    like "@warnings", qr/^\s*\(in cleanup\) alarm\b/, 'and perl warns of it, as of each destructor that dies';
    arm();
    SKIP: {
        my $flags = namespace_flags(Linux::Clone::NEWPID);
        needs($flags, 2);
        @got = $destroyed->(sub { asleep(undef, flags => $flags) }, 'TERM', 0.3);
        is $got[0], 'gone', 'process 1 of a namespace, which the kernel lets ignore it';
        lasts($got[1], 0.3, 3, 'after that time');
    }
}
SKIP: {
    skip $filters, 1 if $filters ne 'yes';
    # a set-user-ID program that is another user's; here a filter says no to whatever is sent
    my @lines = apart(sub {
        my $child = asleep();
        my $pid = $child->pid;
        $child->kill_on_destroy('KILL');
        my $alive = POSIX::dup(fileno $child->pidfd);
        $SIG{CHLD} = 'IGNORE';    # so that kill(2) is no way
        seccomp(pidfd_send_signal => EPERM) or die $!;
        my (undef, $took) = timed(sub { undef $child });
        my $there = kill 0, $pid;
        kill KILL => $pid;
        return $took < 2 * $CloneTest::slow ? 'at once' : $took, $there ? 'there' : 'gone';
    });
    is_deeply \@lines, [ 'at once', 'there' ], 'one that cannot be signalled is not waited for';
}

# ---- terminate ----

sub ready { my ($child, $seconds) = @_; vec(my $set = '', fileno $child->pidfd, 1) = 1; return select($set, undef, undef, $seconds) }
{
    my $child = asleep();
    $! = 7;
    $? = 8;
    my ($told, $took) = timed(sub { $child->terminate });
    is_deeply [ $told, $! + 0, $? ], [ 1, 7, 8 ], 'terminate';
    lasts($took, 0, 1, 'does not wait');
    is ready($child, 20), 1, 'the pidfd says that it has ended';
    is_deeply [ $child->wait, $? ], [ $child->pid, SIGTERM ], 'by TERM';
    is $child->terminate, 0, 'one that was waited for';
    is $! + 0, ESRCH, 'ESRCH';
    undef $child;
    is join(' ', descriptors(), children()), $before, 'nothing and nobody is left';

    $child = deaf();
    my $start = time;
    ($told, $took) = timed(sub { $child->terminate('TERM', 0.5) });
    lasts($took, 0, 0.5, 'one that ignores it: that does not wait either');
    is ready($child, 20), 1, 'and it is killed, whatever its caller does meanwhile';
    lasts(time - $start, 0.5, 3, 'after that time');
    is_deeply [ wait, $? + 0, wait ], [ $child->pid, SIGKILL, -1 ], 'who waits for children finds just that one';
    undef $child;
    is join(' ', descriptors(), children()), $before, 'with the object goes all of it';

    $child = deaf();
    is $child->terminate('TERM', 0), 1, 'no time at all';
    is_deeply [ $child->wait(20), $? ], [ $child->pid, SIGKILL ], 'killed';
    $child = asleep();
    is $child->terminate('KILL'), 1, 'KILL';
    is_deeply [ $child->wait(20), $? ], [ $child->pid, SIGKILL ], 'killed';
    $child = deaf();
    is $child->terminate('TERM', $inf), 1, 'a time without an end';
    is children(), 1, 'needs nobody who kills';
    is $child->wait(0.2), undef, 'it goes on';
    is $child->terminate('INT', 20), 1, 'by another signal';
    is_deeply [ $child->wait(20), $? ], [ $child->pid, 2 ], 'it ends';

    $child = deaf();
    $child->terminate('TERM', 0.1);
    $child->terminate('TERM', 60);
    is $child->wait(0.5), undef, 'the last call counts';
    $child->terminate('TERM', 0.1);
    is_deeply [ $child->wait(20), $? ], [ $child->pid, SIGKILL ], 'longer or shorter';

    pipe my $read, my $said or die "pipe: $!";
    $child = polite($said);
    close $said;
    $child->kill('STOP');
    sleep 0.1;
    $child->terminate(undef, 20);
    is_deeply [ $child->wait(20), $? ], [ $child->pid, 3 << 8 ], 'a stopped one goes on';
    is readline $read, 'TERM', 'and hears of it';
    close $read;

    # the object goes
    $child = deaf();
    my $pid = $child->pid;
    $child->terminate('TERM', 0.3);
    my $open = descriptors();
    undef $child;
    is waitpid($pid, WNOHANG), 0, 'the object goes: the child runs';
    is waitpid($pid, 0), $pid, 'and ends';
    is $?, SIGKILL, 'in time';
    sleep 0.2;
    spawn(exec => ['true'])->wait;
    is join(' ', descriptors(), children()), $before, 'and at the next call nothing and nobody is left';
    $child = asleep()->kill_on_destroy('KILL');
    $child->terminate('TERM', 60);
    undef $child;
    is join(' ', descriptors(), children()), $before, 'with kill_on_destroy';

    my $chld = 0;
    local $SIG{CHLD} = sub { $chld++ };
    $child = asleep();
    $child->terminate;
    $child->wait;
    is $chld, 1, 'there is one SIGCHLD';
}
{
    # the caller ends
    my ($output) = perl_output(<<'PERL');
        use Linux::Clone qw(spawn);
        my $child = spawn(code => sub { $SIG{TERM} = 'IGNORE'; close STDOUT; close STDERR; sleep 60 }) or die $Linux::Clone::error;
        select undef, undef, undef, 0.2;
        $child->terminate('TERM', 1);
        print $child->pid;
PERL
    my ($ended) = time;
    ok !gone($output), 'the caller ends, and keeps nobody who waits for its output';
    my $end = time + 20;
    sleep 0.05 while !gone($output) && time < $end;
    ok gone($output), 'the child ends in time';
}
{
    # a signal for all of a terminal
    my @lines = apart(sub {
        setpgrp;
        local @SIG{qw(INT HUP TERM)} = ('IGNORE') x 3;
        my $child = asleep(sub { $SIG{TERM} = 'IGNORE' });
        $child->terminate('TERM', 0.5);
        kill $_ => -$$ for qw(INT HUP TERM);
        return ($child->wait(20) // 0) == $child->pid ? $? : 'not killed';
    });
    is_deeply \@lines, [SIGKILL], 'signals to the process group do not keep it from that';
}
SKIP: {
    my $flags = namespace_flags(Linux::Clone::NEWPID);
    needs($flags, 3);
    my $child = asleep(sub { }, flags => $flags);
    is $child->terminate('TERM', 0.3), 1, 'process 1 of a namespace';
    is_deeply [ $child->wait(20), $? ], [ $child->pid, SIGKILL ], 'is killed after that time';
    # where new processes are in another namespace
    my @lines = apart(sub {
        my $child = asleep();
        Linux::Clone::unshare($flags) == 0 or return kernel_refuses('unshare');
        $! = 0;
        my $told = $child->terminate . ' ' . ($! + 0) . ' ' . ($child->running ? 'runs' : 'has ended');
        CORE::kill(KILL => $child->pid);
        my $pid = Linux::Clone::clone(sub { $$ == 1 ? 0 : 1 }, 0, SIGCHLD);
        return $told if $pid == -1;
        waitpid $pid, 0;
        $child->wait;
        return $told, "$?";
    });
    is $lines[0], '0 ' . EINVAL . ' runs', 'not if new processes are to be in another PID namespace, whose first one it could be';
}
SKIP: {
    skip $filters, 1 if $filters ne 'yes';
    my @lines = apart(sub {
        my $child = asleep();
        seccomp(clone => EAGAIN) or die $!;
        $! = 0;
        my @lines = ($child->terminate . ' ' . ($! + 0), $child->wait(0.1) // 'runs');
        end_it($child);
        return @lines;
    });
    is_deeply \@lines, [ '0 ' . EAGAIN, 'runs' ], 'if there can be no process to kill it, nothing is sent';
}

# ---- a helper of spawn's own that does not end ----

SKIP: {
    my ($newuidmap) = grep { -x } '/usr/bin/newuidmap';
    skip 'only root may put another program in the place of newuidmap', 1 if $> != 0;
    skip 'there is no newuidmap', 1 if !$newuidmap;
    my $dir = File::Temp->newdir;
    chmod 0755, $dir;
    open my $fh, '>', "$dir/slow" or die $!;
    print {$fh} "#!/bin/sh\nexec sleep 60\n";
    close $fh;
    chmod 0755, "$dir/slow";
    my ($said) = apart(sub {
        Linux::Clone::unshare(Linux::Clone::NEWNS) == 0 or return kernel_refuses('unshare');
        my $mounted = `mount --make-rprivate / 2>&1 && mount --bind $dir/slow $newuidmap 2>&1`;
        return "the kernel refuses a mount: $mounted" if $mounted ne '';
        unprivileged();
        my @got;
        local $SIG{ALRM} = sub { push @got, 'handled'; die "alarm\n" if @got == 2 };
        Time::HiRes::alarm(0.3, 0.3);
        my ($error, $took) = timed(sub { eval { spawn(code => sub { 0 }, uid_map => [ [ 0, 100_000, 10 ] ]); 1 } ? "spawn: $Linux::Clone::error" : $@ });
        Time::HiRes::alarm(0);
        return join ' ', $error =~ s/\n//r, "@got", children(), $took < 5 * $CloneTest::slow ? 'in time' : $took;
    });
    skip $said, 1 if $said =~ /refuses|spawn: Linux::Clone::spawn: clone/;
    is $said, 'alarm handled handled 0 in time', 'handlers run while spawn waits for newuidmap, and one that dies ends both';
}

# ---- what has been tried beside it ----

my @said = split ' ', readline($default) // '';
ok @said == 3 && $said[0] >= 10 && $said[0] <= 14 * $CloneTest::slow, 'kill_on_destroy without a time: ten seconds' or diag "@said";
ok @said == 3 && $said[1] >= 10 && $said[1] <= 14 * $CloneTest::slow && $said[2] == SIGKILL, 'terminate too' or diag "@said";
SKIP: {
    my $said = readline($traced) // 'nothing';
    skip $1, 1 if $said =~ /^skip (.*)/;
    skip 'the kernel refuses a trace', 1 if $said =~ /not traced/;
    like $said, qr/^alarm traced 1[01]$/, 'a child that spawn has to end, but its tracer has: ten seconds';
}

done_testing;
