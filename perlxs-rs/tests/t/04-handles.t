# Handles, lists, and system calls that sleep.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use IO::File ();
use POSIX ();
use PerlXS::Test qw(fd copy list context signal_number sleeping_read dropped);

package Globbed { use overload '*{}' => sub { $_[0][0] }, '0+' => sub { 99 }, fallback => 1 }
package DyingGlob { use overload '*{}' => sub { die "no glob\n" } }
package TiedHandle { sub TIEHANDLE { bless $_[1] } sub FILENO { my $fd = $_[0]{fd}; ref $fd ? $fd->() : $fd } }
package Deaf { sub TIEHANDLE { bless [] } }
package Tied { our $read = 0; sub TIESCALAR { bless \(my $x = $_[1]) } sub FETCH { $read++; ${ $_[0] } } }

package main;

# ---- handles ----

pipe my $read, my $write or die $!;
my $object = IO::File->new('/dev/null', 'r') or die $!;
open NAMED, '<', '/dev/null' or die $!;
open Other::NAMED, '<', '/dev/null' or die $!;
opendir my $dir, '/' or die $!;
my $n = fileno $read;

is fd($read), $n, 'a handle in a variable';
is fd(*$read), $n, 'its glob';
is fd(\*{*$read}), $n, 'a reference to that';
is fd(*$read{IO}), $n, 'its IO object';
is fd($object), fileno $object, 'an IO::File';
is fd(bless [$read], 'Globbed'), $n, 'an object with *{}, whatever its number';
is fd('NAMED'), fileno NAMED, 'a name';
is fd('main::NAMED'), fileno NAMED, 'a full name';
is fd(*NAMED), fileno NAMED, 'a glob';
{ package Other; main::is(PerlXS::Test::fd('NAMED'), fileno Other::NAMED, "a name in the caller's package"); }
is fd('STDERR'), 2, 'STDERR';
cmp_ok fd($dir), '>', 2, 'a directory handle';
ok -d '/proc/self/fd/' . fd($dir), 'is that of the directory';

open my $memory, '<', \'text' or die $!;
is fd($memory), -1, 'a handle in memory has none';
open my $closed, '<', '/dev/null' or die $!;
close $closed;
is fd($closed), -1, 'nor has a closed one';
is fd(do { no warnings 'once'; \*NEVER::OPENED }), -1, 'nor one that was never open';

is fd($_), undef, 'no handle: ' . ($_ // 'undef') for undef, '', 0, 5, '5', '1.5', 'nosuch', "nosuch\0", [], {}, \1, sub { }, bless([], 'Deaf');

{
    tie *TIED, 'TiedHandle', my $state = {};
    for ([ 7, 7 ], [ undef, -1 ], [ sub { 8 }, 8 ]) {
        ($state->{fd}, my $expected) = @$_;
        is fd(\*TIED), $expected, "a tied handle's FILENO, $expected";
    }
    $state->{fd} = sub { die "no number\n" };
    is drops { eval { fd(\*TIED) } }, 1, 'one that dies: dropped';
    is $@, "no number\n", 'is heard';
    for my $leave ('last', 'next', 'last OUTER', 'goto OUTER') {
        my ($turns, $said) = (0);
        my $code = eval "sub { no warnings 'exiting'; $leave }" or die $@;
        $state->{fd} = $code;
      OUTER: for (1 .. 2) {
            $turns++;
            eval { fd(\*TIED); 1 } or $said = $@;
        }
        is $turns, 2, "one that leaves by $leave stays";
        like $said, qr/^Can't (?:"$1" outside a loop block|find label)|^Label not found/, 'and says so' if $leave =~ /^(\w+)/;
    }
    tie *DEAF, 'Deaf';
    ok !eval { fd(\*DEAF); 1 }, 'a tied handle without FILENO';
    like $@, qr/^Can't locate object method "FILENO" via package "Deaf"/, "is perl's own error";
}
is drops { eval { fd(bless [], 'DyingGlob') } }, 1, 'a *{} that dies: dropped';
is $@, "no glob\n", 'is heard';

{
    tie my $tied, 'Tied', $read;
    is fd($tied), $n, 'a tied scalar';
    is $Tied::read, 1, 'is read once';
    $Tied::read = 0;
    my $copy = copy($tied);
    is fd($copy), $n, 'its copy';
    is $Tied::read, 1, 'reads it once';
    is copy(my $x = 'text'), 'text', 'a copied string';
    is copy(undef), undef, 'undef';
    is fd(copy(*NAMED)), fileno NAMED, 'a copied glob';
    is fileno(NAMED), fd('NAMED'), 'and the glob is there yet';
}

# ---- lists ----

is_deeply [ list() ], [], 'no value';
is_deeply [ list(1, undef, 'x') ], [ 1, undef, 'x' ], 'three values';
is_deeply [ list(1 .. 5000) ], [ 1 .. 5000 ], 'more than the stack had room for';
is_deeply [ 0, list(1, 2), 3, list(), list(4) ], [ 0 .. 4 ], 'in a list';
is scalar(list(1, 2, 3)), 3, 'in scalar context: the last';
is scalar(list()), undef, 'or undef';
is scalar(my @all = list(4, 5)), 2, 'counted by an assignment';
{
    my $x = 1;
    $_++ for list($x);
    is $x, 2, 'scalars as they are';
    list(1, 2) for 1 .. 3;
    pass 'void context';
}
{
    my $freed = 0;
    package Freed { sub DESTROY { $freed++ } }
    list(bless([], 'Freed'), bless([], 'Freed'));
    is $freed, 2, 'and they are freed';
}
{
    my $seen = '';
    is_deeply [ context($seen) ], ['List'], 'list context';
    is scalar(context($seen)), 'Scalar', 'scalar context';
    is_deeply [ sub { return context($seen) }->() ], ['List'], "a sub's own: list";
    is scalar(sub { return context($seen) }->()), 'Scalar', "a sub's own: scalar";
    is $seen, '', 'neither is void';
    context($seen);
    is $seen, 'Void', 'void context';
    $seen = '';
    sub { context($seen) }->();
    is $seen, 'Void', "a sub's own: void";
}

# ---- signals ----

is signal_number('TERM'), POSIX::SIGTERM(), 'TERM';
is signal_number('SIGTERM'), POSIX::SIGTERM(), 'SIGTERM';
is signal_number('ZERO'), 0, 'ZERO';
is signal_number($_), undef, "no signal: '$_'" for '', 'SIG', 'term', 'NOSUCH', "TERM\0", 'SIGSIGTERM';

# Signals this process after a while, then writes a byte after another.
sub after {
    my ($signal) = @_;
    my $pid = fork // die $!;
    return $pid if $pid;
    close $read;
    select undef, undef, undef, 0.1;
    kill $signal, getppid;
    select undef, undef, undef, 0.2;
    syswrite $write, 'x';
    POSIX::_exit(0);
}

syswrite $write, 'x';
is sleeping_read($n), 1, 'a call that need not sleep';
is sleeping_read(-1), -POSIX::EBADF(), 'one that fails';
{
    my $handled = '';
    local $SIG{USR1} = sub { $handled .= "handled $_[0]" };
    my $pid = after('USR1');
    is sleeping_read($n), 1, 'one that is interrupted goes on';
    is $handled, 'handled USR1', 'and the handler has run';
    waitpid $pid, 0;
}
{
    local $SIG{USR1} = sub { die "enough\n" };
    my $pid = after('USR1');
    is drops { eval { sleeping_read($n) } }, 1, 'a handler that dies: dropped';
    is $@, "enough\n", 'ends it';
    waitpid $pid, 0;
    sysread $read, my $rest, 1;
}
{
    # it runs where it arrives: in the system call
    my $action = POSIX::SigAction->new(sub { die "at once\n" });
    POSIX::sigaction(POSIX::SIGUSR1(), $action) or die $!;
    my $pid = after('USR1');
    is drops { eval { sleeping_read($n) } }, 1, 'an immediate handler that dies: dropped';
    is $@, "at once\n", 'ends it';
    waitpid $pid, 0;
    sysread $read, my $rest, 1;
    $SIG{USR1} = 'DEFAULT';
}
{
    my $handled = 0;
    local $SIG{USR1} = sub { $handled++ };
    my $set = POSIX::SigSet->new(POSIX::SIGUSR1());
    POSIX::sigprocmask(POSIX::SIG_BLOCK(), $set);
    my $pid = after('USR1');
    is sleeping_read($n), 1, 'a blocked signal';
    is $handled, 0, 'stays blocked';
    POSIX::sigprocmask(POSIX::SIG_UNBLOCK(), $set);
    is $handled, 1, 'until it is not';
    waitpid $pid, 0;
}

done_testing;
