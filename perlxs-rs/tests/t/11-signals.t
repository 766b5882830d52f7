# Signals that come while Rust runs: none is blocked, and no handler throws over a Rust frame.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use POSIX ();
use Time::HiRes qw(setitimer ITIMER_REAL);
use PerlXS::Test qw(dropped made spin);

# The output and the status of a program that uses the extension.
sub program { my ($output, $status) = child_perl("use strict; use warnings; use POSIX (); use Time::HiRes qw(setitimer ITIMER_REAL); $_[0]"); return "$output\[$status]" }

# ---- the defaults ----

for my $signal (qw(TERM INT HUP)) {
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        kill $signal => $$ if 0;
        spin(100);
        POSIX::_exit(0);
    }
    select undef, undef, undef, 0.2;
    kill $signal => $pid;
    waitpid $pid, 0;
    is $? & 127, do { no strict 'refs'; &{"POSIX::SIG$signal"} }, "SIG$signal ends Rust that does not look up";
}
{
    my $pid = PerlXS::Test::start('sleep', 60);
    kill TERM => $pid;
    waitpid $pid, 0;
    is $?, 15, 'a program that Rust starts has no signal blocked';
}
{
    my $mask = POSIX::SigSet->new;
    my $got  = '';
    local $SIG{ALRM} = sub { $got .= 'alarm ' };
    setitimer(ITIMER_REAL, 0.05);
    spin(2);
    $got .= 'after';
    is $got, 'alarm after', 'a handler runs when Rust is done';
}

# ---- handlers that perl does not defer ----

{
    my $action = POSIX::SigAction->new(sub { die "from a handler\n" }, POSIX::SigSet->new, 0);
    POSIX::sigaction(POSIX::SIGALRM(), $action, my $old = POSIX::SigAction->new);
    my ($made, $before) = (made(), dropped());
    ok !eval { setitimer(ITIMER_REAL, 0.05); spin(2); 1 }, 'one that dies in the middle of Rust';
    is $@, "from a handler\n", 'does so at its end';
    is made() - $made, 1, 'once';
    is dropped() - $before, 1, 'and what Rust had is dropped';
    POSIX::sigaction(POSIX::SIGALRM(), $old);
    POSIX::sigprocmask(POSIX::SIG_UNBLOCK(), POSIX::SigSet->new(POSIX::SIGALRM()));
}
{
    local $ENV{PERL_SIGNALS} = 'unsafe';
    is program('$SIG{ALRM} = sub { die "unsafe\n" }; setitimer(ITIMER_REAL, 0.05); eval { PerlXS::Test::spin(2); print "not reached\n" }; print $@, PerlXS::Test::made() - PerlXS::Test::dropped(), "\n"'),
        "unsafe\n0\n[0]", 'PERL_SIGNALS=unsafe';
}
is program(<<'PERL'), "early\n0\n[0]", 'one that was installed before the extension was loaded';
    BEGIN { delete $INC{'PerlXS/Test.pm'}; exec $^X, '-e', 'use POSIX (); POSIX::sigaction(POSIX::SIGALRM(), POSIX::SigAction->new(sub { die "early\n" }, POSIX::SigSet->new, 0)); '
        . "use lib '$INC[0]', qw(@INC); " . 'require PerlXS::Test; use Time::HiRes qw(setitimer ITIMER_REAL); setitimer(ITIMER_REAL, 0.05); eval { PerlXS::Test::spin(2); print "not reached\n" }; print $@, PerlXS::Test::made() - PerlXS::Test::dropped(), "\n"' }
PERL
is program(<<'PERL'), "handled\n0\n[0]", 'more signals than perl lets wait';
    my $n = 0;
    $SIG{ALRM} = sub { $n++ };
    setitimer(ITIMER_REAL, 0.001, 0.001);
    PerlXS::Test::spin(5);
    setitimer(ITIMER_REAL, 0);
    print $n ? "handled\n" : "lost\n", PerlXS::Test::made() - PerlXS::Test::dropped(), "\n";
PERL

# ---- faults ----

is program('$SIG{SEGV} = sub { print "handled\n" }; PerlXS::Test::raise("SEGV"); print "went on\n"'), "handled\nwent on\n[0]", 'a fault\'s signal that somebody has sent';
is program('BEGIN { require POSIX } $SIG{SEGV} = sub { print "never\n" }; alarm 20; PerlXS::Test::fault(); print "not reached\n"'), '[signal 11]', 'a fault in Rust ends the process, whatever the handler';
is program('$SIG{SEGV} = sub { print "handled\n" }; PerlXS::Test::raise("SEGV") for 1 .. 3; print "went on\n"'), "handled\n" x 3 . "went on\n[0]", 'several';

is made() - dropped(), 0, 'Rust values are dropped';

done_testing;
