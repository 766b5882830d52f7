package Linux::Clone::Child;

use strict;
use warnings;

use Linux::Clone ();

our $VERSION = '2.000';

# A new thread gets a reference to undef in the place of an object: the child, and what DESTROY
# does, are this thread's.
sub CLONE_SKIP { return 1 }

# For spawn: the handle takes over the descriptor, and the third argument says so in the same
# statement, since a handler may die before the next one.
sub _new {
    my ($pid, $pidfd) = @_;
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

# The number of a signal, or a croak where the method was called.
sub _number {
    my ($number, $wrong) = &_signal;
    return $number if !defined $wrong;
    # not by Carp, which would read all arguments again
    my (undef, $file, $line) = caller 1;
    die "$wrong at $file line $line.\n";
}

sub kill {
    my ($self, $signal) = @_;
    my $number = _number(0, $signal);
    return Linux::Clone::pidfd_send_signal($self->{pidfd}, $number) == 0 ? 1 : 0;
}

sub wait {
    my ($self) = @_;
    if (!defined $self->{status}) {
        my $options = Linux::Clone::WEXITED() | Linux::Clone::__WALL();
        my (undef, undef, $code, $status) = Linux::Clone::waitid(Linux::Clone::P_PIDFD(), $self->{pidfd}, $options);
        if (defined $code) {
            $self->{status}
                = $code == Linux::Clone::CLD_EXITED() ? $status << 8
                : $code == Linux::Clone::CLD_DUMPED() ? $status | 128
                :                                       $status;
        }
        # a signal handler may have called this meanwhile
        elsif (!defined $self->{status}) {
            # somebody else has waited for it; a new kernel remembers
            my $errno = $! + 0;
            $self->{status} = _status_of($self->{pidfd});
            if (!defined $self->{status}) {
                $? = -1;
                $! = $errno;
                return -1;
            }
        }
    }
    $? = $self->{status};
    return $self->{pid};
}

sub kill_on_destroy {
    my ($self, $signal) = @_;
    # now, since whatever a destructor says is lost
    $self->{kill_on_destroy} = defined $signal ? _number(1, $signal) : undef;
    return $self;
}

sub DESTROY {
    my ($self) = @_;
    return if !defined $self->{kill_on_destroy} || defined $self->{status};
    local ($!, $?, $@);
    # Only a child of this process, not in a copy of it. Process ids do not tell: in two PID
    # namespaces they are the same.
    my $options = Linux::Clone::WEXITED() | Linux::Clone::WNOHANG() | Linux::Clone::WNOWAIT() | Linux::Clone::__WALL();
    my @mine = Linux::Clone::waitid(Linux::Clone::P_PIDFD(), $self->{pidfd}, $options) or return;
    $self->kill($self->{kill_on_destroy});
    $self->wait;
    return;
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

Waits for the process to end. Returns its process id and sets C<$?>, as
C<waitpid> does; so it does when called again. Signal handlers run meanwhile.

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

=head2 running

True until the process has ended. It does not wait for it: that leaves the
status for wait, or whoever wants it.

=head2 kill_on_destroy

    $child->kill_on_destroy('KILL');

The last reference to an object may go at any time: by default that does
nothing to the process, which is neither killed nor waited for. After this
call it gets that signal then, and is waited for. undef takes it back. Returns
the object.

That concerns the process that called spawn; copies of the object in its
children do nothing. New threads get a reference to undef in the place of the
object.

Croaks if there is no such signal.

=head1 SEE ALSO

L<Linux::Clone>, L<Linux::Clone::Spawn>, L<Linux::Clone::Cookbook>,
L<pidfd_open(2)>

=head1 AUTHORS

The Linux::Clone developers

=head1 LICENSE

This is free software. You may use, change and pass it on under the same terms
as Perl itself.

=cut
