# Signals, process ids, and what the parent keeps.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest;
use POSIX qw(SIGCHLD SIGUSR1 SIGUSR2 SIGTERM SIG_BLOCK SIG_SETMASK);

# ---- the child starts with the parent's mask and handlers ----

is result(sub { status_field('SigBlk') }), status_field('SigBlk'), 'an empty mask is an empty mask';
{
    my $set = POSIX::SigSet->new(SIGUSR2, SIGTERM);
    my $old = POSIX::SigSet->new;
    POSIX::sigprocmask(SIG_BLOCK, $set, $old);
    my $mask = status_field('SigBlk');
    is result(sub { status_field('SigBlk') }), $mask, "the caller's mask is the child's";
    is status_field('SigBlk'), $mask, "and still the caller's";
    is Linux::Clone::clone(sub { 1 }, 0, SIGCHLD | Linux::Clone::SIGHAND), -1, 'a refused call';
    is status_field('SigBlk'), $mask, 'leaves it too';
    eval { Linux::Clone::clone('nosuch', 0, SIGCHLD) };
    is status_field('SigBlk'), $mask, 'and a croak';
    kill USR2 => $$;
    ok hex(status_field('SigPnd')) + hex(status_field('ShdPnd')), 'a blocked signal is pending in the parent';
    is result(sub { hex(status_field('SigPnd')) + hex(status_field('ShdPnd')) }), 0, 'but not in the child';
    local $SIG{USR2} = 'IGNORE';
    POSIX::sigprocmask(SIG_SETMASK, $old);
}
{
    my $caught = '';
    local $SIG{USR1} = sub { $caught .= "caught by $_[1]" };
    local $SIG{USR2} = 'IGNORE';
    my $parent = $$;
    $SIG{USR1} = sub { $caught .= $$ == $parent ? 'parent' : "child $_[0]" };
    is result(sub { kill USR1 => $$; kill USR2 => $$; $caught }), 'child USR1', "the caller's handlers are the child's";
    is $caught, '', 'and run there alone';
    is result(sub { local $SIG{USR1} = 'DEFAULT'; ref $SIG{USR1} }), '', 'the child may change them';
    is result(sub { $SIG{ALRM} = sub { die "alarm\n" }; alarm 1; eval { select undef, undef, undef, 9; 1 } ? 'none' : $@ }), "alarm\n",
        'an alarm of its own';
}

# ---- signals around the call ----

{
    # deferred by perl when clone is called: the parent's, not the child's
    my %seen;
    local $SIG{USR1} = sub { $seen{$$}++ };
    my $parent = $$;
    my @pids;
    for (1 .. 50) {
        my $pid = do { kill USR1 => $$; spawn(sub { $seen{$$} ? 1 : 0 }) };
        push @pids, $pid;
    }
    my @ends = map { CloneTest::reap($_) } @pids;
    is_deeply [ grep { $_ ne 'exit 0' } @ends ], [], 'a signal to the parent just before the call does not run in the child';
    is $seen{$parent}, 50, 'and none is lost in the parent';
}
{
    # A handler that runs at once, not deferred, and a signal that comes while an argument is
    # read: what it throws ends the call, in an orderly way.
    package Signalling { sub TIESCALAR { bless [] } sub FETCH { kill USR1 => $$; POSIX::SIGCHLD() } }
    tie my $flags, 'Signalling';
    my ($parent, $ran) = ($$, '');
    my $handle = sub {
        my ($end) = @_;
        return POSIX::sigaction(SIGUSR1, POSIX::SigAction->new(sub { $ran .= $$ == $parent ? 'parent' : 'child'; $end->() }));
    };
    $handle->(sub { });
    my $pid = Linux::Clone::clone(sub { $ran eq 'parent' ? 12 : 13 }, 0, $flags);
    is $ran, 'parent', 'a handler that runs at once: in the parent, once';
    is CloneTest::reap($pid), 'exit 12', 'not in the child';
    my $before = join ' ', stacks(), descriptors(), status_field('SigBlk');
    $handle->(sub { die "now\n" });
    for my $call (sub { Linux::Clone::clone(sub { 14 }, 0, $flags) }, sub { Linux::Clone::clone('nosuch', $flags, 0) }, sub { Linux::Clone::unshare($flags) }) {
        $ran = '';
        like eval { $call->(); 1 } // $@, qr/^now$|must be a CODE reference/, 'one that dies ends the call by what it says';
        is wait, -1, 'there is no child';
    }
    is join(' ', stacks(), descriptors(), status_field('SigBlk')), $before, 'nothing is left, and no signal stays blocked';
    is result(sub { $SIG{USR1} = 'DEFAULT'; tie my $shell, 'Shell'; Linux::Clone::unshare($shell); $Shell::mask }), status_field('SigBlk') . "\n",
        'a program that an argument runs has the caller\'s mask';
    package Shell { our $mask; sub TIESCALAR { bless [] } sub FETCH { ($mask) = `grep SigBlk: /proc/self/status` =~ /(\w+\n)/; 0 } }
    POSIX::sigaction(SIGUSR1, POSIX::SigAction->new('DEFAULT'));
}
{
    # a storm on both sides
    my ($parent, $seen) = ($$, 0);
    local $SIG{USR1} = sub { $seen++ };
    my $storm = fork // die "fork: $!";
    if (!$storm) {
        $SIG{TERM} = 'DEFAULT';
        # perl counts to 120 signals between two places where it looks at them
        for (1 .. 5_000) { kill USR1 => $parent; select undef, undef, undef, 0.00001 }
        POSIX::_exit(0);
    }
    my ($started, @wrong) = (0);
    while (waitpid($storm, POSIX::WNOHANG()) == 0) {
        my $end = status(sub { 17 });
        push @wrong, $end if $end ne 'exit 17';
        $started++;
    }
    is_deeply \@wrong, [], 'under a storm of signals each child does its work';
    cmp_ok $started, '>', 5, "($started children)";
    cmp_ok $seen, '>', 0, "and the parent's handler runs";
}

# ---- who is who ----

{
    my $parent = $$;
    my ($self, $pid, $ppid, $name) = split / /, result(sub { join ' ', readlink('/proc/self'), $$, getppid, $0 });
    is $pid, $self, '$$ is the child\'s';
    is $ppid, $parent, 'getppid is the parent';
    is $name, $0, '$0';
    is result(sub { $$ == syscall_getpid() ? 'same' : 'other' }), 'same', 'as the kernel has it';
    is result(sub { my $p = fork // die; exit($$ == readlink '/proc/self' ? 0 : 1) if !$p; waitpid $p, 0; $? }), 0, 'in its children too';
    is $$, $parent, 'and $$ of the parent stays';
}
sub syscall_getpid { return (split ' ', slurp('/proc/self/stat'))[0] }
SKIP: {
    my $flags = namespace_flags(Linux::Clone::NEWPID);
    needs($flags, 5);
    my ($pid, $ppid) = split / /, result(sub { "$$ " . getppid }, $flags);
    is $pid,  1, 'in a PID namespace it is process 1';
    is $ppid, 0, 'whose parent is outside';
    is result(sub { my $p = spawn(sub { $$ == 2 && getppid == 1 ? 5 : 6 }); CloneTest::reap($p) }, $flags), 'exit 5', 'its child is process 2';
    is result(sub { my $p = spawn(sub { kill TERM => 1; 0 }); CloneTest::reap($p); 'alive' }, $flags), 'alive', 'as process 1 it is immune to signals without a handler';
    is status(sub { kill KILL => spawn(sub { sleep 20 }); exit 7 }, $flags), 'exit 7', 'and exits';
}

# ---- the exit signal ----

{
    my $got = 0;
    local $SIG{USR1} = sub { $got++ };
    my $pid = Linux::Clone::clone(sub { 3 }, 0, SIGUSR1);
    cmp_ok $pid, '>', 0, 'another exit signal';
    my $wall = 0x40000000;
    is waitpid($pid, $wall), $pid, 'is waited for with __WALL';
    is $? >> 8, 3, 'its status';
    is $got, 1, 'the signal arrives';
    $pid = Linux::Clone::clone(sub { 4 }, 0, 0);
    is waitpid($pid, $wall), $pid, 'none at all';
    is $? >> 8, 4, 'its status';
}
{
    local $SIG{CHLD} = 'IGNORE';
    my $pid = spawn(sub { 5 });
    is waitpid($pid, 0), -1, 'with SIGCHLD ignored the kernel reaps';
    is $! + 0, POSIX::ECHILD(), 'and wait says ECHILD';
}

# ---- what the parent keeps ----

{
    local ($!, $?, $@) = (7, 9, 'kept');
    'match' =~ /a(t)c/;
    my $pid = Linux::Clone::clone(sub { $! = 1; $@ = 'x'; $? = 2; 'x' =~ /(x)/; 0 }, 0, SIGCHLD);
    is $! + 0, 7, '$! stays';
    is $?, 9, '$? stays';
    is $@, 'kept', '$@ stays';
    is $1, 't', '$1 stays';
    CloneTest::reap($pid);
    $! = 7;
    is status(sub { $! + 0 }), "exit 7", '$! is the same in the child';
    local $@ = 'kept';
    is status(sub { $@ eq 'kept' ? 0 : 1 }), 'exit 0', '$@ too';
}
{
    my $value = 'parent';
    our $global = 'parent';
    is status(sub { $value = $global = 'child'; 0 }), 'exit 0', 'a child that changes variables';
    is "$value $global", 'parent parent', 'has its own copies';
}

done_testing;
