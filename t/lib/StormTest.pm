package StormTest;

# Signals that come all the time, to the parent and to its children.

use strict;
use warnings;

use CloneTest ();
use Config;
use Exporter 'import';
use FaultTest;
use Linux::Clone ();
use POSIX qw(:sys_wait_h :errno_h);
use ProcessTest qw(eventually);
use Test::More;
use Time::HiRes ();

our @EXPORT = qw(storm_test);

my $seed = $ENV{SEED} // time;

# How each kind ends, if nothing disturbs it; those that the kernel refuses are left out.
my %ends;

# The figures, and what went wrong.
sub told {
    my (@lines) = @_;
    my $figures = $lines[0] =~ /^\d/ ? shift @lines : 'no figures';
    return ($figures, join "\n", @lines);
}

# A process that sends the signal `n` times; with `ack`, a descriptor, each one after the one before
# has been answered there.
sub sender {
    my ($n, $signal, $target, $ack) = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    $SIG{$_} = 'IGNORE' for $signal, 'PIPE';
    arm_for($n);
    for (1 .. $n) {
        kill $signal => $target or POSIX::_exit(2);
        if (!defined $ack) {
            Time::HiRes::usleep(50);
            next;
        }
        vec(my $ready = '', $ack, 1) = 1;
        select(my $set = $ready, undef, undef, 20) == 1 or POSIX::_exit(1);
        POSIX::read($ack, my $byte, 1);
    }
    POSIX::_exit(0);
}

# A process that hangs must end, even if nobody is there any more who waits for it.
sub arm_for { my ($n) = @_; return alarm $CloneTest::slow * (100 + $n / 10) }

# In a process of its own: starts children of all kinds while the signals come. Returns what went
# wrong, and notes the figures.
sub storm {
    my ($n, $signal, %how) = @_;
    my @lines = apart(sub {
        arm_for($n);
        POSIX::setpgid(0, 0) if $how{group};
        my ($parent, $runs) = ($$, 0);
        pipe my $read, my $write or die "pipe: $!";
        my $ack = fileno $write;
        # what is deferred by perl in a child that is a copy runs in that child, too
        $SIG{$signal} = sub { if ($$ == $parent) { $runs++; POSIX::write($ack, 'x', 1) if $how{acked} } };
        my $before = state();
        my $sender = sender($n, $signal, $how{group} ? -$$ : $$, $how{acked} ? fileno $read : undef);
        my (%wrong, $starts);
        my $over = 0;
        until ($over) {
            for my $name (sort keys %ends) {
                $starts++;
                my $end = start($name);
                $wrong{"$name: $end"}++ if $end ne $ends{$name};
                last if $over = waitpid($sender, WNOHANG) == $sender;
            }
        }
        $wrong{"the sender ended with $?: a signal was lost"}++ if $?;
        my $stormy = $runs;
        # the last of all is not lost either
        kill $signal => $$;
        eventually(10, sub { $runs > $stormy }) or $wrong{'no handler runs any more'}++;
        $wrong{"$stormy handlers ran for $n signals"}++ if $how{acked} ? $stormy != $n : $stormy > $n || !$stormy;
        my $after = state();
        $wrong{"before it $before, after it $after"}++ if $before ne $after;
        return "$n signals, $stormy handlers, $starts children", map { "$_, $wrong{$_} times" } sort keys %wrong;
    });
    return told(@lines);
}

# Signals that a child gets while it works: it has a handler of its own, which answers each. Its
# parent, which gets none, keeps its own.
sub storm_in_child {
    my ($n, $how) = @_;
    my @lines = apart(sub {
        arm_for($n);
        my $runs = 0;
        $SIG{USR1} = sub { $runs++ };
        my $before = state();
        pipe my $read, my $write or die "pipe: $!";
        pipe my $told, my $tell or die "pipe: $!";
        my $ack = fileno $write;
        my $code = sub {
            my ($own, %wrong) = (0);
            $SIG{USR1} = sub { $own++; POSIX::write($ack, 'x', 1) };
            my $sender = sender($n, 'USR1', $$, fileno $read);
            my $works = 0;
            until (waitpid($sender, WNOHANG) == $sender) {
                $works++;
                # perl's stacks, malloc, and a call that a signal interrupts
                my @list = sort { $a <=> $b } map { $_ * 7 % 11 } 1 .. 20;
                $wrong{"the work is wrong: @list"}++ if "@list[ 0, 19 ]" ne '0 10';
                select undef, undef, undef, 0.0002;
            }
            $wrong{"the sender ended with $?: a signal was lost"}++ if $?;
            $wrong{"$own handlers ran for $n signals"}++ if $own != $n;
            syswrite $tell, join("\n", $own, map { "$_, $wrong{$_} times" } sort keys %wrong) . "\n";
            return 7;
        };
        my $vfork = Linux::Clone::VM() | Linux::Clone::VFORK();
        my $child = $how eq 'spawn' ? Linux::Clone::spawn(code => $code) : Linux::Clone::clone($code, 0, POSIX::SIGCHLD() | ($how eq 'VM|VFORK' ? $vfork : 0));
        my $end = end_of($child);
        undef $child;
        close $tell;
        chomp(my ($own, @wrong) = <$told>);
        close $_ for $read, $write, $told;
        push @wrong, "the child: $end" if $end ne 'exit 7';
        push @wrong, "$runs handlers ran in the parent" if $runs;
        kill USR1 => $$;
        push @wrong, "the parent's handler does not run" if $runs != 1;
        my $after = state();
        push @wrong, "before it $before, after it $after" if $before ne $after;
        return ("$n signals, " . ($own // 'no') . ' handlers in the child', @wrong);
    });
    return told(@lines);
}

# A handler that dies, at any moment of any call.
sub dying {
    my ($n, $name) = @_;
    my @lines = apart(sub {
        alarm 0;
        $SIG{ALRM} = sub { die "enough\n" };
        # perl says so of one that dies in a destructor
        local $SIG{__WARN__} = sub { warn @_ if $_[0] !~ /in cleanup/ };
        my $before = state();
        my ($died, %wrong) = (0);
        srand($seed);
        my $from = Time::HiRes::time();
        start($name) for 1 .. 10;
        my $lasts = int 100_000 * (Time::HiRes::time() - $from);    # microseconds for one
        for my $i (1 .. $n) {
            my $end = eval {
                Time::HiRes::ualarm(1 + int rand 2 * $lasts);
                my $end = start($name);
                Time::HiRes::ualarm(0);
                $end;
            };
            if (!defined $end) {
                $died++;
                $wrong{"it died of $@"}++ if $@ ne "enough\n";
            }
            elsif ($end ne $ends{$name}) { $wrong{$end}++ }
            # who dies between the call and the assignment has a child and does not know it
            while (waitpid(-1, 0) > 0) { $wrong{"a child ended with $?"}++ if $? && $? != 7 << 8 && $? != 9 }
            my $after = state();
            if ($before ne $after) { $wrong{"before it $before, after it $after"}++; $before = $after }
        }
        return "$died of $n died", map { "$_, $wrong{$_} times" } sort keys %wrong;
    });
    return told(@lines);
}

# A wait that a handler ends: the status is still there.
sub dying_wait {
    my ($n) = @_;
    my @lines = apart(sub {
        alarm 0;
        $SIG{ALRM} = sub { die "enough\n" };
        my $before = state();
        my ($died, %wrong) = (0);
        for (1 .. $n) {
            my $child = Linux::Clone::spawn(code => sub { Time::HiRes::sleep(0.002); 3 }) or return $Linux::Clone::error;
            # one alarm, so that nothing comes after the block
            my $pid = eval {
                Time::HiRes::ualarm(1 + int rand 4000);
                my $pid = $child->wait;
                Time::HiRes::ualarm(0);
                $pid;
            };
            $died++, $pid = $child->wait if !defined $pid;
            $wrong{"$pid, status $?"}++ if $pid != $child->pid || $? != 3 << 8;
        }
        my $after = state();
        $wrong{"before it $before, after it $after"}++ if $before ne $after;
        return "$died of $n died", map { "$_, $wrong{$_} times" } sort keys %wrong;
    });
    return told(@lines);
}

# Real-time signals wait in a queue while the parent sleeps for a child that shares its memory.
sub queued {
    my ($n) = @_;
    my @lines = apart(sub {
        alarm 60;
        my $rt = POSIX::SIGRTMIN() + 3;
        my ($runs, $parent) = (0, $$);
        $SIG{ (split ' ', $Config{sig_name})[$rt] } = sub { $runs++ };
        my $before = state();
        my $queued = -1;
        my $pid = eval {
            Linux::Clone::clone(sub {
                my $sent = 0;
                kill($rt => $parent) and $sent++ for 1 .. $n;
                CloneTest::slurp("/proc/$parent/status") =~ /^SigQ:\s+(\d+)/m and $queued = $1;
                return $sent == $n ? 7 : 8;
            }, 0, POSIX::SIGCHLD() | Linux::Clone::VM() | Linux::Clone::VFORK());
        };
        my $said = $@ =~ s/ at .*//sr;
        my $ended = wait() > 0 ? CloneTest::ended() : 'no child';
        my $after = state();
        return ($said eq '' ? 'it returned' : $said, $ended, $runs > 0 ? 'the handler ran' : 'no handler ran', $queued >= $n ? 'all were queued' : "$queued were queued", $before eq $after ? 'same' : "$before, $after");
    });
    return join ', ', @lines;
}

# All of it, with this many signals for each storm.
sub storm_test {
    my ($n, $say) = @_;
    $say->("SEED=$seed");
    for my $name (@starts) {
        my $end = start($name);
        $ends{$name} = $end if $end =~ /^exit/;
    }
    my @storms = (
        [ 'USR1, each answered',               'USR1', acked => 1 ],
        [ 'USR1, as fast as they can be sent', 'USR1' ],
        [ 'a real-time signal, each answered', 'NUM37', acked => 1 ],
        # no default action, so that a child without the handler goes on
        [ 'WINCH, to the parent and its children, each answered', 'WINCH', acked => 1, group => 1 ],
        [ 'WINCH, to the parent and its children, as fast as they can be sent', 'WINCH', group => 1 ],
    );
    for (@storms) {
        my ($what, $signal, %how) = @$_;
        SKIP: {
            skip "perl has no signal $signal", 1 if !exists $SIG{$signal};
            my ($figures, $wrong) = storm($n, $signal, %how);
            is $wrong, '', "$what: nothing is lost, and no call is disturbed";
            $say->("$what: $figures");
        }
    }
    for my $how ('copy', 'VM|VFORK', exists $ends{'spawn code'} ? 'spawn' : ()) {
        my ($figures, $wrong) = storm_in_child($n, $how);
        is $wrong, '', "a child gets them, $how: nothing is lost, and the parent has its own handlers";
        $say->("in a child, $how: $figures");
    }
    # a descriptor that is a number only is lost with an assignment that does not happen
    my $all = 0;
    for my $name (grep { !/PIDFD/ } sort keys %ends) {
        my ($figures, $wrong) = dying($n / 20 > 20 ? int $n / 20 : 20, $name);
        is $wrong, '', "$name: a handler dies, at any moment";
        $say->("$name: $figures");
        $all += $1 if $figures =~ /^(\d+)/;
    }
    cmp_ok $all, '>', 0, 'some have died in the middle of a call';
    SKIP: {
        skip 'spawn is refused', 1 if !exists $ends{'spawn code'};
        my ($figures, $wrong) = dying_wait($n / 20 > 20 ? int $n / 20 : 20);
        is $wrong, '', 'a handler dies while a child is waited for: its status is there for the next wait';
        $say->("wait: $figures");
    }
    is queued(100), 'it returned, exit 7, the handler ran, all were queued, same', 'real-time signals wait for their parent';
    # perl keeps 120 until it can run the handler, and dies of more, out of the C handler: the signal
    # stays blocked, as after POSIX::sigprocmask. The child is there for wait.
    my $many = queued(1000);
    like $many, qr/^(?:it returned|Maximal count of pending signals \(\d+\) exceeded), exit 7, (?:the|no) handler ran, all were queued, /, 'more than perl can keep';
    $say->("1000 real-time signals at once: $many");
    return;
}

1;
