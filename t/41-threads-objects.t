# ithreads: threads that end while a child of theirs runs, what a new thread gets of each object, and
# a child of a thread beside one of fork.
use strict;
use warnings;
no warnings 'threads';    # of threads that die
use Config;

BEGIN {
    if (!$Config{useithreads}) {
        print "1..0 # SKIP this perl has no ithreads\n";
        exit 0;
    }
}
use threads;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest qw(status both perl_output descriptors children waitid_refusal);
use Linux::Clone qw(:wait clone pidfd_send_signal setns unshare waitid);
use POSIX qw(SIGCHLD);
use SpawnTest qw(spawn);
use Time::HiRes ();

my $shared = Linux::Clone::VM | Linux::Clone::VFORK;
my $refusal = waitid_refusal();
my $held = $ENV{UNDER_VALGRIND} && 'valgrind holds all threads while a child shares their memory';

# Runs the code in a thread: what it returns, a list.
sub in_thread { my ($code) = @_; return threads->create({ context => 'list' }, $code)->join }

# Whether a process is there and no zombie.
sub lives { my ($pid) = @_; my ($state) = ProcessTest::process_stat($pid); return defined $state && $state !~ /[ZX]/ ? 1 : 0 }

# Reaps a child that should end soon; "runs" if it does not.
sub soon {
    my ($pid) = @_;
    for (1 .. 500) {
        my $got = waitpid $pid, POSIX::WNOHANG();
        return $got == $pid ? CloneTest::ended() : 'gone' if $got;
        Time::HiRes::sleep(0.01);
    }
    kill KILL => $pid;
    waitpid $pid, 0;
    return 'runs';
}

# ---- a thread that ends while a child of its runs ----

my %ends = (
    'returns'   => sub { return },
    'exits'     => sub { threads->exit },
    'dies'      => sub { die "x\n" },
);
for my $how (sort keys %ends) {
    pipe my $read, my $write or die "pipe: $!";
    my $started = sub {
        my ($start) = @_;
        threads->create(sub { syswrite $write, $start->() . "\n"; $ends{$how}->() })->join;
        chomp(my $told = <$read>);
        return $told;
    };
    my $pid = $started->(sub { clone(sub { sleep 60 }, 0, SIGCHLD) });
    ok lives($pid), "clone: its thread $how, and the child runs on";
    kill TERM => $pid;
    is soon($pid), 'signal 15', 'any thread may reap it';

    SKIP: {
        skip $refusal, 1 if $refusal;
        my ($id, $fd) = split ' ', $started->(sub { my $id = clone(sub { sleep 60 }, 0, SIGCHLD | Linux::Clone::PIDFD, my $fd); "$id $fd" });
        pidfd_send_signal($fd, 'TERM');
        is_deeply [ (waitid P_PIDFD, $fd, WEXITED)[ 0, 3 ] ], [ $id, 15 ], "PIDFD: its thread $how, and the descriptor stands for the child";
        POSIX::close($fd);
    }
    SKIP: {
        skip $refusal, 4 if $refusal;
        my $before = descriptors();
        $pid = $started->(sub { our $child = spawn(code => sub { sleep 60 }) or die $Linux::Clone::error; $child->pid });
        ok lives($pid), "spawn: its thread $how, and the child runs on";
        kill TERM => $pid;
        is soon($pid), 'signal 15', 'any thread may reap it';
        $pid = $started->(sub { our $child = spawn(code => sub { sleep 60 })->kill_on_destroy('KILL'); our $cycle = [$child]; push @$cycle, $cycle; $child->pid });
        is soon($pid), 'gone', "kill_on_destroy: its thread $how, and the child goes with the object";
        is descriptors(), $before, 'their descriptors are closed';
    }
}

# the parent sleeps as long as such a child runs: its thread cannot end before
SKIP: {
    skip $held, 3 if $held;
    pipe my $read, my $write or die "pipe: $!";
    pipe my $go, my $gone or die "pipe: $!";
    my $thread = threads->create(sub {
        status(sub { syswrite $write, "$$ is threads\n"; sysread $go, my $byte, 1; exec 'sh', '-c', 'exit 4' }, $shared);
    });
    like scalar <$read>, qr/^\d+ is threads/, 'a child in shared memory runs';
    ok $thread->is_running, 'so its thread does not end';
    syswrite $gone, '.';
    is $thread->join, 'exit 4', 'until the child has let go of the memory';
}
# but the process can
SKIP: {
    skip $held, 2 if $held;
    my ($output, $status) = perl_output(<<'PERL');
        use threads; use Linux::Clone; use POSIX ();
        $| = 1;
        pipe my $read, my $write or die;
        threads->create(sub {
            Linux::Clone::clone(sub {
                my $parent = POSIX::getppid();
                syswrite $write, "up\n";
                1 while POSIX::getppid() == $parent && select undef, undef, undef, 0.02;
                1 while POSIX::getppid() == $parent;
                my %all = map { $_ => [ 1 .. 5 ] } 1 .. 1000;
                syswrite STDOUT, "the child has its memory: " . keys(%all) . "\n";
                exec 'echo', 'and a program';
            }, 0, Linux::Clone::VM | Linux::Clone::VFORK | 17);
            print "not reached\n";
        })->detach;
        <$read>;
        print "the main thread ends\n";
        close STDERR;
        exit 3;
PERL
    is $output, "the main thread ends\nthe child has its memory: 1000\nand a program\n", 'the whole process ends while a child shares its memory, which goes on';
    is $status >> 8, 3, 'its status';
}

# a descriptor of another thread with the number of a handle that a child in shared memory opens
SKIP: for my $end ('returns', 'is killed', 'execs') {
    skip $held, 9 if $held;
    pipe my $numbers, my $tell or die "pipe: $!";
    pipe my $done, my $reply or die "pipe: $!";
    my $thread = threads->create(sub {
        my ($last, $fd) = (split ' ', scalar <$numbers>)[-1];
        my @fds;
        do { push @fds, $fd = POSIX::open('/dev/null', POSIX::O_RDWR()) // die $! } while $fd < $last;
        syswrite $reply, '.';
        return \@fds;
    });
    my @kept;
    status(sub {
        open my $own, '>', '/dev/null' or return 1;
        open $kept[$_], '>', '/dev/null' or return 1 for 0, 1;
        print { $kept[0] } 'not for the other thread' x 10;
        syswrite $tell, join(' ', map { fileno $_ } $own, @kept) . "\n";
        sysread $done, my $byte, 1;
        kill KILL => $$ if $end eq 'is killed';
        exec 'true' if $end eq 'execs';
        return 0;
    }, $shared);
    my @fds = @{ $thread->join };
    my $open = sub { return scalar(grep { -e "/proc/self/fd/$_" } @fds) };
    is $open->(), @fds, "another thread's descriptors, when the child $end that had handles of these numbers";
    ok !(grep { no warnings 'closed'; defined syswrite $_, 'x' } @kept), 'which have no file any more';
    undef @kept;
    is $open->(), @fds, 'nor closed with handles that are kept';
    POSIX::close($_) for @fds;
}

# and another thread's handles are closed when it closes them, though such a child has some, too
SKIP: {
    skip $held, 3 if $held;
    pipe my $numbers, my $tell or die "pipe: $!";
    pipe my $done, my $reply or die "pipe: $!";
    my $before = descriptors();
    my $thread = threads->create(sub {
        <$numbers>;
        my @fhs = map { open my $fh, '<', '/dev/null' or die $!; $fh } 1 .. 5;
        my @fds = map { fileno $_ } @fhs;
        close $_ for @fhs;
        my $left = grep { -e "/proc/self/fd/$_" } @fds;
        syswrite $reply, '.';
        return $left;
    });
    is status(sub {
        my @own = map { open my $fh, '<', '/dev/null' or die $!; $fh } 1 .. 5;
        syswrite $tell, "\n";
        sysread $done, my $byte, 1;
        return 0;
    }, $shared), 'exit 0', 'a child in shared memory with handles, and a thread with others';
    is $thread->join, 0, 'which are closed when the thread closes them';
    is descriptors(), $before, 'and so are all in the end';
}

# ---- the signal for the parent's death: the thread's (prctl(2)) ----

SKIP: {
    skip $refusal, 6 if $refusal;
    my %works = (
        'code' => [ code => sub { sleep 60 } ],
        'a program' => [ exec => [ 'sleep', 60 ] ],
        'a program with maps' => [ exec => [ 'sleep', 60 ], uid_map => 'root', gid_map => 'root' ],
    );
    for my $what (sort keys %works) {
        SKIP: {
            pipe my $go, my $gone or die "pipe: $!";
            pipe my $read, my $write or die "pipe: $!";
            my $thread = threads->create(sub {
                my $child = spawn(@{ $works{$what} }, parent_death => 'USR1');
                syswrite $write, ($child ? $child->pid : $Linux::Clone::error) . "\n";
                sysread $go, my $byte, 1;
                return;
            });
            chomp(my $pid = <$read>);
            my $others = threads->create(sub { return });
            $others->join;
            my $lives = $pid =~ /^\d+$/ && lives($pid);
            syswrite $gone, '.';
            $thread->join;
            skip $pid, 2 if $pid !~ /^\d+$/;
            ok $lives, "parent_death, $what: it lives as long as its thread does, whichever other ends";
            is soon($pid), 'signal ' . POSIX::SIGUSR1(), 'and gets the signal when that ends';
        }
    }
}

# ---- what a new thread gets ----

SKIP: {
    skip $refusal, 6 if $refusal;
    my $before = descriptors();
    my $child = spawn(code => sub { sleep 60 })->kill_on_destroy('KILL');
    my $pidfd = $child->pidfd;
    my $wait = sub { return $child };
    is_deeply [ in_thread(sub { (map({ ref $_ eq 'SCALAR' && !defined $$_ ? 'undef' : "$_" } $child, $wait->()), defined fileno $pidfd) }) ],
        [ 'undef', 'undef', 1 ], 'a child object is undef in a new thread, its handle is not';
    is_deeply [ in_thread(sub { pidfd_send_signal($pidfd, 0) }) ], [0], 'which is that of the child';
    ok lives($child->pid), 'the child lives: nothing has been destroyed';
    is_deeply [ in_thread(sub { in_thread(sub { pidfd_send_signal($pidfd, 'TERM') }) }) ], [0], 'in a thread of a thread, too';
    $child->wait;
    is $? & 127, 15, 'the object is the first thread\'s';
    undef $_ for $child, $pidfd;
    is descriptors(), $before, 'the descriptor is closed with the last handle';
}
{
    my $clone = \&Linux::Clone::clone;
    my ($flags, $closure) = (0, do { my $n = 7; sub { $n } });
    is_deeply [ in_thread(sub { my $pid = $clone->($closure, 0, $flags | SIGCHLD); waitpid $pid, 0; $? >> 8 }) ], [7], 'a function and a closure from another thread';
    my @names = sort grep { defined &{"Linux::Clone::$_"} } keys %Linux::Clone::;
    my $values = sub { no strict 'refs'; return join ' ', map { my $value = prototype("Linux::Clone::$_"); defined $value && $value eq '' && /^[A-Z]/ ? "$_=" . &{"Linux::Clone::$_"}() : $_ } @names };
    cmp_ok scalar @names, '>', 100, 'the functions and constants';
    is_deeply [ in_thread($values) ], [ $values->() ], 'are the same in a new thread';
    is_deeply [ in_thread(sub { eval { clone([], 0, 0) }; $@ =~ /^(Linux::Clone::clone: \S+)/ }) ], [ eval { clone([], 0, 0) } // $@ =~ /^(Linux::Clone::clone: \S+)/ ], 'and so are their messages';
}
SKIP: {
    skip $refusal, 2 if $refusal;
    $Linux::Clone::error = 'mine';
    is_deeply [ in_thread(sub { spawn(exec => ['/no/such']); $Linux::Clone::error =~ m{/no/such} ? 1 : 0 }) ], [1], '$Linux::Clone::error in a thread';
    is $Linux::Clone::error, 'mine', 'is that thread\'s own';
}

# the module in threads only, in two at once, again when these are gone, at last in the main thread
{
    my ($output, $status) = perl_output(<<'PERL');
        use threads; use POSIX ();
        my $load = sub {
            my $n = shift;
            require Linux::Clone;
            my $pid = Linux::Clone::clone(sub { $n }, 0, 17);
            waitpid $pid, 0;
            my $child = Linux::Clone::spawn(code => sub { $n });
            return $? >> 8 if !$child;
            $child->wait;
            return ($? >> 8) + Linux::Clone::NEWNET() - 0x40000000;
        };
        for my $round (1 .. 3) {
            print join(' ', sort map { $_->join } map { threads->create($load, 10 * $round + $_) } 1 .. 4), "\n";
        }
        print defined &Linux::Clone::clone ? 'in' : 'not in', " the main thread\n";
        print $load->(5), "\n";
        print join(' ', map { $_->join } threads->create($load, 6)), "\n";
PERL
    is $output, "11 12 13 14\n21 22 23 24\n31 32 33 34\nnot in the main thread\n5\n6\n", 'loaded by threads that are gone, several at once, and by the main thread later';
    is $status, 0, 'its status';
}

# ---- a child of a thread: that thread alone ----

for my $body (
    'threads->create(sub { told(sub { print threads->tid, " ", threads->self->tid, " ", threads->is_detached ? 1 : 0, "\n"; 3 }) })->join',
    'my $t = threads->create(sub { sleep 1 for 1 .. 2 }); told(sub { print scalar(threads->list), " ", join(",", map { $_->tid } threads->list), "\n"; 3 }); $t->detach; POSIX::_exit(0)',
    'threads->create(sub { told(sub { my @r = map { $_->join } map { my $n = $_; threads->create(sub { $n * 2 }) } 1 .. 3; print "@r\n"; 4 }) })->join',
    'END { print "END ", $$ == $main ? "main" : "child", "\n" } threads->create(sub { END { print "its END ", $$ == $main ? "main" : "child", "\n" } told(sub { 5 }); told(sub { exit 6 }) })->join',
    'threads->create(sub { told(sub { threads->create(sub { exit 7 })->join; 8 }) })->join',
    'threads->create(sub { my $o = bless []; sub DESTROY { print "DESTROY ", $$ == $main ? "main" : "child", "\n" } told(sub { 5 }); return })->join',
    'threads->create(sub { told(sub { $SIG{USR1} = sub { print "USR1\n" }; kill USR1 => $$; 5 }) })->join',
    'threads->create(sub { told(sub { threads->create(sub { told(sub { threads->tid }) })->join; 9 }) })->join',
  )
{
    my @seen = both($body);
    is $seen[1], $seen[0], "as fork does: $body";
}
{
    # perl has none of another thread's there; with fork this thread's do not run
    my ($output) = perl_output(<<'PERL');
        use threads; use Linux::Clone;
        our $main = $$;
        END { print "END of main\n" if $$ != $main }
        threads->create(sub {
            eval q{END { print "END of the thread\n" if $$ != $main } 1} or die $@;
            waitpid Linux::Clone::clone(sub { exit 6 }, 0, 17), 0;
        })->join;
PERL
    is $output =~ s/^Perl exited with active threads:\n(?:\t.*\n)+//mgr, "END of the thread\n", 'exit in the child of a thread runs the END blocks of this thread';
}
is_deeply [ in_thread(sub { status(sub { threads->exit(3) }) }) ], ['exit 3'], 'threads->exit ends such a child, with this status';
is children(), 0, 'no child is left';

# The descriptors that a child leaves to the threads: a directory would lead out of a new root.
like join('', in_thread(sub {
    pipe my $read, my $write or die "pipe: $!";
    my $end = status(sub { syswrite $write, join ' ', map { readlink("/proc/self/fd/$_") // () } 3 .. 200; 0 }, $shared);
    sysread $read, my $open, 65536;
    my $directories = grep { m{^/} && -d } split ' ', $open;
    return "$end, " . (split ' ', $open) . " descriptors, $directories directories";
})), qr/^exit 0, (?:6[4-9]|7\d|8\d) descriptors, 0 directories$/, 'a child of a thread has many descriptors, of no directory';

done_testing;
