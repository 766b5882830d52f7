package Linux::Clone::Child;

use strict;
use warnings;

use Linux::Clone ();

our $VERSION = '2.000';

# A new thread gets a reference to undef in the place of an object: the child, and what DESTROY
# does, are this thread's.
sub CLONE_SKIP { return 1 }

# So long a child has if nobody says how long, and so long one that was killed is waited for.
my $grace = 10;
my $kill = 9;    # SIGKILL, everywhere

# The processes that kill children of objects that are gone, by their pidfds.
my %killers;

# None of those that have ended stays behind as a zombie.
sub _tidy_up {
    for my $fd (keys %killers) {
        delete $killers{$fd} if _stop_killer($killers{$fd}, 0);
    }
    return;
}

# For spawn: the handle takes over the descriptor, and the third argument says so in the same
# statement, since a handler may die before the next one.
sub _new {
    my ($pid, $pidfd) = @_;
    _tidy_up() if %killers;
    my $self = bless { pid => $pid }, __PACKAGE__;
    # perl warns of a handle that is to be read if STDOUT is closed
    no warnings 'io';
    local $^F = 2;    # it stays close-on-exec
    $_[2] = open $self->{pidfd}, '<&=', $pidfd;
    return $_[2] ? $self : undef;
}

sub pid   { return $_[0]{pid} }
sub pidfd { return $_[0]{pidfd} }

# The pidfd is readable once the process has ended.
sub running {
    my ($self) = @_;
    return '' if defined $self->{status};
    my $fd = fileno $self->{pidfd};
    return '' if !defined $fd;    # somebody has closed the handle
    local $!;
    vec(my $pidfd = '', $fd, 1) = 1;
    my $ready;
    # a signal interrupts even a select that does not wait: EINTR, without a module that has names
    do { $ready = select my $set = $pidfd, undef, undef, 0 } while $ready == -1 && $! == 4;
    return $ready == 0;
}

# What an argument comes to, or a croak where the method was called.
sub _argument {
    my $read = shift;
    my ($value, $wrong) = &$read;
    return $value if !defined $wrong;
    # not by Carp, which would read all arguments again
    my (undef, $file, $line) = caller 1;
    die "$wrong at $file line $line.\n";
}

sub kill {
    my ($self, $signal) = @_;
    my $number = _argument(\&_signal, 'kill', $signal);
    return _send($self->{pidfd}, $self->{pid}, $number, 0);
}

sub wait {
    my ($self, $seconds) = @_;
    $seconds = _argument(\&_seconds, 'wait', $seconds) if defined $seconds;
    if (!defined $self->{status}) {
        my $told = _wait($self->{pidfd}, $seconds, $self->{status});
        my $errno = $! + 0;
        # a signal handler may have called this meanwhile; or somebody else has waited for it, and a
        # new kernel remembers
        $self->{status} = _status_of($self->{pidfd}) if $told && !defined $self->{status};
        if (!defined $self->{status}) {
            $? = -1;
            $! = $errno;
            return $told ? -1 : undef;
        }
    }
    if ($self->{killer}) {
        local $!;
        _stop_killer(delete $self->{killer}, 1);
    }
    $? = $self->{status};
    return $self->{pid};
}

sub kill_on_destroy {
    my ($self, $signal, $seconds) = @_;
    # now, since whatever a destructor says is lost
    $signal  = _argument(\&_signal, 'kill_on_destroy', $signal) if defined $signal;
    $seconds = defined $seconds ? _argument(\&_seconds, 'kill_on_destroy', $seconds) : $grace;
    $self->{kill_on_destroy} = defined $signal ? [ $signal, $seconds ] : undef;
    return $self;
}

sub terminate {
    my ($self, $signal, $seconds) = @_;
    my $number = _argument(\&_signal, 'terminate', defined $signal ? $signal : 'TERM');
    $seconds = defined $seconds ? _argument(\&_seconds, 'terminate', $seconds) : $grace;
    my $errno = $! + 0;
    my $killer;
    _tidy_up() if %killers;
    # first, so that nothing is sent if there cannot be one
    my $sent = $number == $kill || $seconds == 9**9**9 || !$self->running || _killer($self, $seconds, $killer);
    if ($sent) {
        $sent = _send($self->{pidfd}, $self->{pid}, $number, 1);
        # the last one counts
        ($killer, $self->{killer}) = ($self->{killer}, $killer) if $sent;
    }
    $errno = $! + 0 if !$sent;
    _stop_killer($killer, 1) if $killer;
    $! = $errno;
    return $sent ? 1 : 0;
}

# Starts a process that kills the child, and makes the third argument its handle.
sub _killer {
    my ($self, $seconds) = @_;
    no warnings 'io';
    local $^F = 2;
    my $fd;
    return defined($fd = _start_killer($self->{pidfd}, $seconds)) && open $_[2], '<&=', $fd;
}

sub DESTROY {
    my ($self) = @_;
    return if !$self->{killer} && (!defined $self->{kill_on_destroy} || defined $self->{status});
    local ($!, $?, $@);
    my $error = defined $self->{status} ? undef : _end($self);
    if (my $killer = delete $self->{killer}) {
        if (!$self->running) { _stop_killer($killer, 1) }
        else                 { $killers{ fileno $killer } = $killer }
    }
    die $error if defined $error;
    return;
}

# Does what kill_on_destroy says. Returns what a signal handler has thrown meanwhile.
sub _end {
    my ($self) = @_;
    return if !defined $self->{kill_on_destroy};
    my ($signal, $seconds) = @{ $self->{kill_on_destroy} };
    # Only a child of this process, not in a copy of it. Process ids do not tell: in two PID
    # namespaces they are the same.
    my $options = Linux::Clone::WEXITED() | Linux::Clone::WNOHANG() | Linux::Clone::WNOWAIT() | Linux::Clone::__WALL();
    my ($ended) = Linux::Clone::waitid(Linux::Clone::P_PIDFD(), $self->{pidfd}, $options) or return;
    # who cannot be told to end is not waited for
    return if !$ended && !_send($self->{pidfd}, $self->{pid}, $signal, 1);
    my ($waited, $error);
    if ($ended || $signal != $kill) {
        eval { $waited = $self->wait($seconds); 1 } or $error = $@;
        return $error if defined $waited;
        _send($self->{pidfd}, $self->{pid}, $kill, 0) or return $error;
    }
    # a signal that nobody can ignore; but a slow disk, or a tracer, may hold the process
    eval { $self->wait($grace); 1 } or $error = $@;
    return $error;
}

1;

__END__

=encoding UTF-8

=head1 NAME

Linux::Clone::Child - a child that Linux::Clone::spawn has started

=head1 SYNOPSIS

    use Linux::Clone qw(spawn);

    my $child = spawn(exec => ['sleep', 60])
        or die "$Linux::Clone::error\n";
    print "process ", $child->pid, " runs\n" if $child->running;
    $child->kill('TERM') or die "kill: $!\n";
    $child->wait;
    print "signal ", $? & 127, "\n";

=head1 DESCRIPTION

An object stands for one process, by a pidfd (pidfd_open(2)): whatever becomes
of its number, and whoever else waits for children, no method acts on another
process. L<Linux::Clone/spawn> makes such objects.

=head1 METHODS

=head2 pid

The process id, a number of the caller's PID namespace.

=head2 pidfd

A handle of the process, close-on-exec and open while somebody has it. It is
readable once the process has ended, for C<select> and event loops; and
L<Linux::Clone/waitid>, L<Linux::Clone/setns> and their kin take it.

=head2 wait

    $pid = $child->wait;
    $pid = $child->wait($seconds);

Waits for the process to end. Returns its process id and sets C<$?>, as
C<waitpid> does; so it does when called again. Signal handlers run meanwhile.

With a number of seconds it waits no longer than that, fractions too: 0 looks
once, undef or an infinity is as without. If the process has not ended by
then, wait returns undef, and C<$?> is -1; it runs on, and may be waited for
again. The time of signal handlers counts. So:

    if (!defined $child->wait(2.5)) {
        warn "still running\n";
    }

A handler that dies ends wait; the status is not lost. A process that is
traced may have ended and still have to be waited for, until the tracer has
let go of it.

If somebody else has waited for it, by C<wait>, by a handler for SIGCHLD or
because SIGCHLD is ignored, the kernel still knows how it ended (Linux 6.15).
An older one does not: then wait returns -1, with C<$!> ECHILD and C<$?> -1.
In another process than the one that called spawn it is the same: -1 until it
has been waited for.

=head2 kill

    $child->kill($signal) or die "kill: $!\n";

Sends a signal, by number or name (L<Linux::Clone/pidfd_send_signal>). Returns
1, or 0 with C<$!>: ESRCH if the process has ended and was waited for, EPERM,
EINVAL. Croaks if there is no such name.

Some containers have a filter of system calls that is older than
pidfd_send_signal(2), and refuses it (ENOSYS, EPERM). Then it is kill(2), but
only where nobody can have waited for the child meanwhile, and its number be
that of another process: in the process that called spawn, while that has one
thread and does not ignore SIGCHLD.

=head2 terminate

    $child->terminate or die "terminate: $!\n";
    $child->terminate($signal, $seconds);

Tells the process to end, and sees to it that it does: sends the signal,
SIGTERM if not given, and SIGCONT after it, so that a stopped process hears of
it. If the process has not ended after so many seconds, 10 if not given, it
gets SIGKILL. Process 1 of a PID namespace, for one, ignores whatever it has
no handler for, but for SIGKILL.

terminate does not wait for any of this, neither for the end nor for the time:
it is for event loops, which watch L</pidfd>, then call wait. Somebody has to
wait for the process, as ever.

    $child->terminate('TERM', 5) or die "terminate: $!\n";
    # ... the loop goes on; once $child->pidfd is readable:
    $child->wait;

What sends SIGKILL is a process of its own, so that it does not matter what
the caller does meanwhile: sleep, lose the object, or end. It is a copy of the
caller, and costs what a C<fork> costs; it has none of the caller's files open
but the pidfd, a session of its own, and counts as one more process of the
user until the child has ended. It is a child of the caller without an exit
signal: no SIGCHLD, and C<wait> and C<waitpid> do not find it, unless by
__WALL. L</wait> and the object's end take it away once the child has ended;
where the object goes first, the next call of spawn or of terminate does. With
an infinite number of seconds, or SIGKILL as the signal, there is none.

Returns 1; or 0 with C<$!>, and then nothing has been sent: ESRCH or EPERM as
for kill; ENOSYS or EPERM from a filter without pidfd_send_signal(2), here
without kill(2) in its place; EAGAIN, ENOMEM or the like where there can be no
further process; EMFILE; EINVAL where C<unshare> or C<setns> with NEWPID have
put new processes into another PID namespace. The last call counts: a second
one with another time takes the place of the first.

Croaks if there is no such signal, or if the time makes no sense.

=head2 running

True until the process has ended. It does not wait for it: that leaves the
status for wait, or whoever wants it.

=head2 kill_on_destroy

    $child->kill_on_destroy('KILL');
    $child->kill_on_destroy('TERM', $seconds);

The last reference to an object may go at any time: by default that does
nothing to the process, which is neither killed nor waited for. After this
call it gets that signal then, and is waited for. undef takes it back. Returns
the object.

The signal is followed by SIGCONT, as for terminate. If the process has not
ended after so many seconds, 10 if not given, it gets SIGKILL; an infinity
waits as long as it takes. What has been killed is waited for 10 seconds at
most: a process that sleeps in the kernel, as for a disk that does not answer,
ends when it wakes up, and nobody waits for it then. If the signal cannot be
sent (see kill), as to a set-user-ID program of another user's, nobody waits
either.

B<While the destructor waits, nothing else goes on but signal handlers>: an
event loop stands still. There call L</terminate> instead, or leave it at
C<'KILL'>, after which the wait is short. A handler that dies meanwhile has
the process killed at once; perl warns of the exception, since it cannot leave
a destructor.

That concerns the process that called spawn; copies of the object in its
children do nothing. New threads get a reference to undef in the place of the
object.

Croaks if there is no such signal, or if the time makes no sense.

=head1 SEE ALSO

L<Linux::Clone>, L<Linux::Clone::Spawn>, L<Linux::Clone::Cookbook>,
L<pidfd_open(2)>

=head1 AUTHORS

The Linux::Clone developers

=head1 LICENSE

This is free software. You may use, change and pass it on under the same terms
as Perl itself.

=cut
