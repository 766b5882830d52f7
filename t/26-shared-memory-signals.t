# VM|VFORK and signals: no handler of the parent's runs in the child, none of the parent's signals
# is lost, and a child that a signal ends leaves the interpreter in order.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest qw(:DEFAULT shared);
use POSIX qw(SIGCHLD SIGUSR1 SIGUSR2 SIGTERM SIG_BLOCK SIG_SETMASK);
use Time::HiRes ();
no warnings 'exec';

my $shared = Linux::Clone::VM | Linux::Clone::VFORK;
my $parent = $$;

# ---- handlers ----

{
    my $ran = '';
    local @SIG{qw(USR1 TERM INT CHLD)} = (sub { $ran .= "$_[0] in " . ($$ == $parent ? 'parent' : 'child') . ' ' }) x 4;
    for my $name (qw(USR1 TERM INT)) {
        is shared(sub { kill $name => $$; 7 }), 'signal ' . POSIX->can("SIG$name")->(), "SIG$name, whose handler is a sub, ends the child";
    }
    is shared(sub { kill CHLD => $$; 7 }), 'exit 7', 'SIGCHLD does not';
    unlike $ran, qr/child/, 'and no handler runs in it';
    is shared(sub { exec $^X, '-e', 'kill USR1 => $$; exit 8' }), 'signal ' . SIGUSR1, 'nor is one left for the program';
    $ran = '';
    kill USR1 => $$;
    like $ran, qr/^USR1 in parent/, "the parent's handler is as before";
    local $SIG{USR2} = 'IGNORE';
    is shared(sub { kill USR2 => $$; 9 }), 'exit 9', 'what is ignored is ignored in the child';
    is shared(sub { exec $^X, '-e', 'kill USR2 => $$; exit 9' }), 'exit 9', 'and in the program';
    $ran = '';
    is shared(sub { local $SIG{USR1} = sub { $ran .= 'its own' }; kill USR1 => $$; 10 }), 'exit 10', 'the child may have a handler of its own';
    like $ran, qr/^its own/, 'which runs';
    $ran = '';
    kill USR1 => $$;
    like $ran, qr/^USR1 in parent/, "and the parent's is there again";
    is shared(sub { local $SIG{ALRM} = sub { die "alarm\n" }; alarm 1; eval { sleep 9; 1 } ? 11 : 12 }), 'exit 12', 'an alarm of its own';
    is shared(sub { alarm 1; sleep 9; 13 }), 'signal 14', 'one that ends it';
    is shared(sub { alarm 1; select undef, undef, undef, 9; 13 }), 'signal 14', 'in a select';
    is shared(sub { alarm 1; 1 while 1; 13 }), 'signal 14', 'in a loop';
    is shared(sub { pipe my $r, my $w; alarm 1; my $line = <$r>; 13 }), 'signal 14', 'in a read';
    is shared(sub { alarm 1; exec 'sleep', 9; 13 }), 'signal 14', 'in a program';
}

# A child that ends in a handler of its own: when the parent leaves the handler perl unblocks the
# signal, which the end of the child has sent. Not here, where the child's handler would end the test.
for my $unsafe (0, 1) {
    is status(sub {
        my ($ran, $here) = ('', $$);
        my $handler = sub { $ran .= 'parent ' };
        local $SIG{USR1} = $handler;
        POSIX::sigaction(SIGUSR1, POSIX::SigAction->new($handler)) if $unsafe;
        my $pid = Linux::Clone::clone(sub {
            local $SIG{USR1} = sub { $ran .= $$ == $here ? 'wrong ' : 'child '; POSIX::_exit(7) };
            kill USR1 => $$;
            return 8;
        }, 0, $shared | SIGUSR1);
        waitpid $pid, Linux::Clone::__WALL();
        return $? != 7 << 8 ? 1 : $ran eq 'child parent ' ? 2 : 3;
    }), 'exit 2', "a child that ends in its handler: then the parent's runs, " . ($unsafe ? 'at once' : 'deferred');
}

{
    my $ran = '';
    local $SIG{USR1} = sub { $ran .= $$ == $parent ? 'parent' : 'child' };
    is shared(sub { { local $SIG{USR1} = sub { $ran .= 'own' }; kill USR1 => $$ } kill USR1 => $$; 7 }), 'signal ' . SIGUSR1,
        "when a handler of its own goes, it is the default that comes back, not the parent's";
    is $ran, 'own', 'which does not run';
    local $SIG{WINCH} = sub { $ran .= $$ == $parent ? 'parent' : 'child' };
    is shared(sub { { local $SIG{WINCH} = sub { } } kill WINCH => $$; 7 }), 'exit 7', 'also if the default is to ignore it';
    is $ran, 'own', 'nor this one';
    kill USR1 => $$;
    is $ran, 'ownparent', "and the parent's runs in the parent";
    # so it is in a copy of the child
    for my $copy ([ clone => sub { return Linux::Clone::clone($_[0], 0, SIGCHLD) } ], [ fork => sub { my $pid = fork; if (defined $pid && !$pid) { POSIX::_exit($_[0]->()) } return $pid } ]) {
        my ($how, $start) = @$copy;
        $ran = '';
        is shared(sub {
            { local $SIG{USR1} = sub { } }
            my $pid = $start->(sub { kill USR1 => $$; POSIX::_exit(9) });
            waitpid $pid, 0;
            return $? & 127;
        }), 'exit ' . SIGUSR1, "nor does it come back in a copy of the child: $how";
        is $ran, '', 'the parent\'s has not run';
    }
    $ran = 'own';
    our $handled = '';
    sub handler { $handled .= $$ == $parent ? 'parent' : 'child'; return }
    for my $handler (\&handler, 'main::handler', *handler) {
        $handled = '';
        local $SIG{USR1} = $handler;
        is shared(sub { { local $SIG{USR1} = sub { } } kill USR1 => $$; 7 }), 'signal ' . SIGUSR1, 'the same for a handler that is ' . (ref $handler ? 'a reference' : $handler);
        kill USR1 => $$;
        is $handled, 'parent', 'which is the parent\'s alone';
    }
    # it comes while exec's arguments are evaluated
    my $long = 'ab' x 1e7;
    is shared(sub { Time::HiRes::ualarm(3000); exec '/bin/true', $long =~ tr/a/a/ + $long =~ tr/b/b/ }), 'signal 14',
        'a signal that comes before exec is not lost';
}

{
    # %SIG says what the kernel does: the parent's are the parent's again, with local or without
    my $ran = '';
    local $SIG{PIPE} = sub { $ran .= 'pipe' . ($$ == $parent ? '' : ' in child') };
    local $SIG{TERM} = sub { $ran .= 'term' . ($$ == $parent ? '' : ' in child') };
    local $SIG{USR2} = 'IGNORE';
    my $same = sub { join ' ', map { "$_=" . ($SIG{$_} // 'undef') } qw(PIPE TERM USR2 HUP ALRM) };
    my $before = $same->();
    is shared(sub { $SIG{TERM} = sub { exit 3 }; kill TERM => $$; 5 }), 'exit 3', 'a handler that the child assigns, where the parent has one, is its own';
    is shared(sub { $SIG{HUP} = sub { exit 4 }; kill HUP => $$; 5 }), 'exit 4', 'and where the parent has none';
    is $same->(), $before, '%SIG is as before';
    is shared(sub { $SIG{$_} = 'DEFAULT' for qw(PIPE TERM USR2 HUP); exec 'true' }), 'exit 0', 'the usual preparation of an exec';
    is $same->(), $before, '%SIG is as before';
    is shared(sub { local @SIG{qw(PIPE TERM USR2 HUP)} = (sub { }) x 4; exec 'true' }), 'exit 0', 'local handlers, and exec';
    is $same->(), $before, '%SIG is as before';
    $ran = '';
    kill $_ => $$ for qw(PIPE TERM USR2);
    is $ran, 'pipeterm', 'and so is what signals do';
    require POSIX;
    my $action = POSIX::SigAction->new;
    POSIX::sigaction(POSIX::SIGTERM(), undef, $action);
    ok $action->safe, 'POSIX::sigaction knows the handler for a deferred one';
    my @seen = (each %SIG)[0];
    shared(sub { exec 'true' });
    push @seen, (each %SIG)[0];
    isnt $seen[0], $seen[1], "each %SIG goes on where it was";
    keys %SIG;
}

# ---- the mask ----

{
    my $before = status_field('SigBlk');
    my $inside;
    shared(sub { $inside = status_field('SigBlk'); 0 });
    is $inside, $before, "the child's mask is the caller's";
    is status_field('SigBlk'), $before, 'and stays';
    my $old = POSIX::SigSet->new;
    POSIX::sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGUSR2, SIGTERM), $old);
    my $mask = status_field('SigBlk');
    shared(sub { $inside = status_field('SigBlk'); 0 });
    is $inside, $mask, 'with blocked signals, too';
    is result(sub { my $out; shared(sub { $out = status_field('SigBlk'); exec 'true' }); $out }), $mask, 'in a child of a child';
    POSIX::sigprocmask(SIG_SETMASK, $old);
    my $handlers = 0;
    local $SIG{USR1} = sub { $handlers++ };
    my $thread = Linux::Clone::SIGHAND;
    is shared(sub { $inside = status_field('SigBlk'); kill USR1 => $$; 3 }, $thread), 'exit 3', 'with SIGHAND';
    # all but SIGKILL and SIGSTOP; the C library keeps 32 and 33 for itself
    is hex(substr $inside, -8) & 0x7fffffff, 0x7ffbfeff, 'all signals stay blocked';
    is $handlers, 0, 'no handler runs in the child';
    kill USR1 => $$;
    is $handlers, 1, "and the parent's is still there";
    # what the child does to the table they share must not stay in the parent, whose %SIG stays
    my @table = map { status_field($_) } qw(SigIgn SigCgt);
    is shared(sub { exec 'true' }, $thread), 'exit 0', 'an exec, which gives up what perl ignores';
    is join(' ', map { status_field($_) } qw(SigIgn SigCgt)), "@table", 'changes nothing in the parent';
    is shared(sub { @SIG{qw(USR1 WINCH TERM)} = ('DEFAULT', 'IGNORE', sub { }); 4 }, $thread), 'exit 4', 'nor do handlers that it sets';
    is join(' ', map { status_field($_) } qw(SigIgn SigCgt)), "@table", 'those of the parent are as before';
    kill USR1 => $$;
    is $handlers, 2, 'and run';
}

# ---- what is pending ----

{
    my %seen = (child => 0, parent => 0);
    local $SIG{USR1} = sub { $seen{ $$ == $parent ? 'parent' : 'child' }++ };
    for (1 .. 50) {
        my $pid = do { kill USR1 => $$; spawn(sub { exec 'true' }, $shared) };
        CloneTest::reap($pid);
    }
    is "$seen{parent} $seen{child}", '50 0', 'a signal to the parent just before the call runs its handler in the parent, once';

    # while the caller sleeps
    %seen = (child => 0, parent => 0);
    my $helper = fork // die "fork: $!";
    if (!$helper) { select undef, undef, undef, 0.2; kill USR1 => $parent; POSIX::_exit(0) }
    my $during;
    is shared(sub { my $end = Time::HiRes::time() + 0.5; select undef, undef, undef, 0.1 while Time::HiRes::time() < $end; $during = $seen{parent}; 4 }), 'exit 4', 'a signal to the parent while it sleeps';
    is $during, 0, 'waits';
    is "$seen{parent} $seen{child}", '1 0', 'and runs its handler in the parent';
    waitpid $helper, 0;

    # a handler that runs at once
    POSIX::sigaction(SIGUSR1, POSIX::SigAction->new(sub { $seen{ $$ == $parent ? 'parent' : 'child' } += 10 }));
    $helper = fork // die "fork: $!";
    if (!$helper) { select undef, undef, undef, 0.1; kill USR1 => $parent; POSIX::_exit(0) }
    shared(sub { select undef, undef, undef, 0.3; exec 'true' });
    is "$seen{parent} $seen{child}", '11 0', 'one that runs at once, too';
    waitpid $helper, 0;
}

# ---- storms ----

# Sends signals to a process as fast as it can until it is told to stop.
sub storm {
    my ($signals, $pids) = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    $SIG{TERM} = 'DEFAULT';
    my $end = time + 60;
    while (time < $end) {
        for my $signal (@$signals) { kill $signal => $pids->(); select undef, undef, undef, 0.00001 }
    }
    POSIX::_exit(0);
}
sub work { my ($n) = @_; my %h = map { ($_ => [ 1 .. 5 ]) } 1 .. $n; my @s = sort { $a <=> $b } keys %h; my $t = join ',', map { "$_" x 2 } @s; $t =~ s/1/one/g; return length $t }
{
    my %seen = (child => 0, parent => 0);
    local @SIG{qw(USR1 USR2 WINCH)} = (sub { $seen{ $$ == $parent ? 'parent' : 'child' }++ }) x 3;
    my $expected = work(100);
    # the child is of the parent's process group: each signal goes to both
    my $storm = storm([qw(USR1 USR2 WINCH)], sub { $parent });
    my @wrong;
    for my $turn (1 .. POSIX::ceil(500 / $CloneTest::slow)) {
        my $result;
        my $end = shared($turn % 2 ? sub { $result = work(100); 17 } : sub { $result = work(100); exec '/bin/true' });
        push @wrong, $end if $end ne ($turn % 2 ? 'exit 17' : 'exit 0') || $result != $expected;
    }
    kill TERM => $storm;
    waitpid $storm, 0;
    is_deeply \@wrong, [], 'under a storm on the parent each child does its work';
    is $seen{child}, 0, 'no handler runs in a child';
    cmp_ok $seen{parent}, '>', 100, "and the parent's do";
}
{
    # On the child, anywhere in its work: the parent's memory stays in order.
    my $seen = 0;
    local $SIG{USR1} = sub { $seen++ if $$ != $parent };
    my $expected = work(50);
    my %work = (
        'its work'         => sub { my @kept; push @kept, work(50) while 1 },
        'an exec'          => sub { no warnings; while (1) { exec '/nonexistent/x', map { $_ + 0.5 } 1 .. 500 } },
        'opening and closing' => sub { while (1) { open my $fh, '<', '/dev/null' or die; my @lines = <$fh> } },
    );
    my $children = POSIX::ceil(100 / $CloneTest::slow);
    my $realtime = POSIX->can('SIGRTMIN') ? POSIX::SIGRTMIN() + 6 : 40;
    for my $what (sort keys %work) {
        for my $signal (SIGUSR1, SIGTERM, $realtime) {
            my (%ends, @wrong);
            for my $turn (1 .. $children) {
                my $pid = Linux::Clone::clone(sub {
                    my $child = $$;
                    # from a process of its own, after a random time; an orphan that ends by itself
                    Linux::Clone::clone(sub { my $end = Time::HiRes::time() + rand 0.0008; 1 while Time::HiRes::time() < $end; kill $signal => $child; POSIX::_exit(0) }, 256 << 10, SIGCHLD);
                    $work{$what}->();
                }, 0, $shared | SIGCHLD);
                $ends{ CloneTest::reap($pid) }++;
                push @wrong, $turn if work(50) != $expected;
            }
            is_deeply \%ends, { "signal $signal" => $children }, "$children children that signal $signal ends in the middle of $what";
            is_deeply \@wrong, [], 'leave the interpreter in order';
        }
    }
    is $seen, 0, 'and ran no handler';
}

# ---- a signal that waits ----

for my $flags (0, Linux::Clone::SIGHAND) {
    # by default SIGCHLD is ignored, and to set that again would take it away; often it comes later
    local $SIG{CHLD} = 'DEFAULT';
    my $set = POSIX::SigSet->new(POSIX::SIGCHLD);
    my $lost = 0;
    for (1 .. 300) {
        POSIX::sigprocmask(SIG_BLOCK, $set) or die $!;
        status(sub { local $SIG{USR1} = 'IGNORE'; 0 }, $shared | $flags) eq 'exit 0' or die;
        my $pending = POSIX::SigSet->new;
        POSIX::sigpending($pending);
        $lost++ if !$pending->ismember(POSIX::SIGCHLD);
        POSIX::sigprocmask(POSIX::SIG_UNBLOCK, $set) or die $!;
    }
    is $lost, 0, sprintf 'a parent that blocks SIGCHLD finds it after each child, flags %#x', $flags;
}

# ---- a destructor that runs while the parent leaves the child's frames ----

{
    my @ends;
    local $SIG{USR1} = sub { push @ends, 'the parent handles' };
    sub unblocked { POSIX::sigprocmask(POSIX::SIG_SETMASK(), POSIX::SigSet->new); return }
    package Starts { sub DESTROY {
        for my $signal (qw(USR1 TERM)) {
            push @ends, main::status(sub {
                main::unblocked();
                local $SIG{USR1} = sub { @ends = (@ends, 'handled') };
                kill USR1 => $$;
                1 for 1 .. 10;
                kill TERM => $$ if $signal eq 'TERM';
                1 for 1 .. 10;
                return 7;
            }, $shared);
        }
        my $pid = fork // die "fork: $!";
        if (!$pid) {
            main::unblocked();
            local $SIG{ALRM} = sub { POSIX::_exit(9) };
            alarm 10;
            local $SIG{USR2} = sub { POSIX::_exit(5) };
            kill USR2 => $$;
            1 for 1 .. 10;
            POSIX::_exit(6);
        }
        waitpid $pid, 0;
        push @ends, CloneTest::ended();
    } }
    is status(sub { my $starts = bless [], 'Starts'; POSIX::_exit(0) }, $shared), 'exit 0', 'a destructor that starts such children, and forks';
    is_deeply \@ends, [ 'handled', 'exit 7', 'handled', 'signal 15', 'exit 5' ], 'in which signals do what they should';
    kill USR1 => $$;
    is $ends[-1], 'the parent handles', 'and afterwards, too';
}

# ---- %SIG, emptied ----

for my $how ([ 'delete' => sub { delete $SIG{USR1}; 0 } ], [ 'an empty %SIG' => sub { %SIG = (); 0 } ], [ 'undef %SIG' => sub { undef %SIG; 0 } ]) {
    my ($what, $code) = @$how;
    my $runs = 0;
    local $SIG{USR1} = sub { $runs++ };
    is status($code, $shared), 'exit 0', "$what in the child";
    is ref $SIG{USR1}, 'CODE', 'the handler is in the parent\'s %SIG';
    { local $SIG{USR1} = 'IGNORE' }
    kill USR1 => $$;
    is $runs, 1, 'and stays, whatever is local';
}

done_testing;
