# Signals that come while Rust runs: none is blocked, and no handler throws over a Rust frame.
use strict;
use warnings;
use Config;
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
        $SIG{$signal} = 'DEFAULT'; # whatever this was started with, as in the background
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
for my $second ('another', 'one that is deferred') {
    my @handled;
    POSIX::sigaction(POSIX::SIGUSR1(), POSIX::SigAction->new(sub { push @handled, 'USR1'; die "from USR1\n" }, POSIX::SigSet->new, 0));
    my $action = POSIX::SigAction->new(sub { push @handled, 'USR2' }, POSIX::SigSet->new, 0);
    $action->safe($second =~ /deferred/);
    POSIX::sigaction(POSIX::SIGUSR2(), $action);
    my $parent = $$;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        for my $signal (qw(USR1 USR2)) {
            select undef, undef, undef, 0.05;
            kill $signal => $parent;
        }
        POSIX::_exit(0);
    }
    ok !eval { spin(3); 1 }, 'a handler that dies at the end of Rust';
    is $@, "from USR1\n", 'in the call itself';
    is "@handled", 'USR1 USR2', "and $second that waits";
    waitpid $pid, 0;
    @SIG{qw(USR1 USR2)} = ('DEFAULT') x 2;
}
{
    local $ENV{PERL_SIGNALS} = 'unsafe';
    is program('$SIG{ALRM} = sub { die "unsafe\n" }; setitimer(ITIMER_REAL, 0.05); eval { PerlXS::Test::spin(2); print "not reached\n" }; print $@, PerlXS::Test::made() - PerlXS::Test::dropped(), "\n"'),
        "unsafe\n0\n[0]", 'PERL_SIGNALS=unsafe';
}
is program(<<'PERL'), "early\n0\n[0]", 'one that was installed before the extension was loaded';
    exec $^X, (map { "-I$_" } grep { !ref } @INC), '-e', <<'EARLY' or die "perl: $!";
        use POSIX ();
        BEGIN { POSIX::sigaction(POSIX::SIGALRM(), POSIX::SigAction->new(sub { die "early\n" }, POSIX::SigSet->new, 0)) }
        use PerlXS::Test;
        use Time::HiRes qw(setitimer ITIMER_REAL);
        setitimer(ITIMER_REAL, 0.05);
        eval { PerlXS::Test::spin(2); print "not reached\n" };
        print $@, PerlXS::Test::made() - PerlXS::Test::dropped(), "\n";
EARLY
PERL
is program(<<'PERL'), "handled\n0\n[0]", 'more signals than perl lets wait';
    my $n = 0;
    $SIG{ALRM} = sub { $n++ };
    setitimer(ITIMER_REAL, 0.001, 0.001);
    PerlXS::Test::spin(5);
    setitimer(ITIMER_REAL, 0);
    print $n ? "handled\n" : "lost\n", PerlXS::Test::made() - PerlXS::Test::dropped(), "\n";
PERL

# ---- threads of Rust ----

for my $is_safe (1, 0) {
    my $n = 0;
    my $set = POSIX::SigSet->new(POSIX::SIGUSR1());
    my $action = POSIX::SigAction->new(sub { $n++ }, POSIX::SigSet->new, 0);
    $action->safe($is_safe);
    POSIX::sigaction(POSIX::SIGUSR1(), $action, my $old = POSIX::SigAction->new);
    PerlXS::Test::threaded();
    POSIX::sigprocmask(POSIX::SIG_BLOCK(), $set);
    kill USR1 => $$; # for who does not block it
    select undef, undef, undef, 0.2;
    is $n, 0, 'a signal that a thread of Rust gets';
    POSIX::sigprocmask(POSIX::SIG_UNBLOCK(), $set);
    is $n, 1, "waits for perl's";
    POSIX::sigaction(POSIX::SIGUSR1(), $old);
}

# ---- more than one extension ----

SKIP: {
    skip 'perl without threads', 1 if !$Config{useithreads};
    is program(<<'PERL'), "1 1\n[0]", 'each stands before perl\'s handlers once, in threads, too';
        use threads;
        use File::Copy ();
        use File::Temp ();
        my @first = (\&PerlXS::Test::spin, \&PerlXS::Test::raise);
        my $other = File::Temp::tempdir(CLEANUP => 1) . '/Other.so';
        File::Copy::copy("$INC[0]/auto/PerlXS/Test/Test.so", $other) or die "$other: $!";
        my $library = DynaLoader::dl_load_file($other, 0) or die DynaLoader::dl_error();
        { no warnings; DynaLoader::dl_install_xsub('boot', DynaLoader::dl_find_symbol($library, 'boot_PerlXS__Test'))->('PerlXS::Test', '0.01') }
        threads->create(sub { $_->(0) for $first[0], \&PerlXS::Test::spin; 1 })->join;
        my @n;
        for my $i (0, 1) {
            POSIX::sigaction(POSIX::SIGUSR1(), POSIX::SigAction->new(sub { $n[$i]++ }, POSIX::SigSet->new, 0));
            $i ? kill(USR1 => $$) : $first[1]->('USR1');
        }
        print "@n\n";
PERL
}

# ---- faults ----

is program('$SIG{SEGV} = sub { print "handled\n" }; PerlXS::Test::raise("SEGV"); print "went on\n"'), "handled\nwent on\n[0]", 'a fault\'s signal that somebody has sent';
is program('BEGIN { require POSIX } $SIG{SEGV} = sub { print "never\n" }; alarm 20; PerlXS::Test::fault(); print "not reached\n"'), '[signal 11]', 'a fault in Rust ends the process, whatever the handler';
is program('$SIG{SEGV} = sub { print "handled\n" }; PerlXS::Test::raise("SEGV") for 1 .. 3; print "went on\n"'), "handled\n" x 3 . "went on\n[0]", 'several';

is made() - dropped(), 0, 'Rust values are dropped';

done_testing;
