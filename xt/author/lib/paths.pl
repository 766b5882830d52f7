# The paths through Linux::Clone that memcheck watches: clone and unshare, and each way in which
# they fail. Says what went otherwise than expected, and nothing else. Run by memcheck.t.
use strict;
use warnings;
use Linux::Clone;
use POSIX qw(SIGCHLD);

package Dying {
    use overload '0+' => sub { die "no number\n" }, '&{}' => sub { die "no code\n" };
    sub TIESCALAR { return bless [], shift }
    sub FETCH     { die "no fetch\n" }
    sub STORE     { die "no store\n" }
}

package main;

my ($rounds) = @ARGV;
my $parent = $$;
tie my $tied, 'Dying';
my $dying = bless [], 'Dying';
sub named { return 3 }

open STDERR, '>', '/dev/null' or die $!;    # what dying children say

sub expect {
    my ($name, $got, $expected) = @_;
    print "$name: $got, not $expected\n" if $got ne $expected;
    return;
}

for my $round (1 .. $rounds) {
    my $text = "a closure's own string, $round";
    my @ends = (
        [ returns => sub { length $text },           length $text ],
        [ name    => 'named',                        3 ],
        [ glob    => \*named,                        3 ],
        [ string  => sub { no warnings; '7 dwarfs' }, 7 ],
        [ undef   => sub { undef },                  0 ],
        [ dies    => sub { $! = 4; die "oops\n" },   4 ],
        [ object  => sub { $! = 4; die [$text] },    4 ],
        [ fetches => sub { $! = 4; $tied },          4 ],
        [ exits   => sub { exit 5 },                 5 ],
        [ inside  => sub { eval { exit 6 } },        6 ],
        [ leaves  => sub { no warnings; last },      255 ],
        [ forks   => sub { my $p = fork // die; exit 8 if !$p; waitpid $p, 0; $? >> 8 }, 8 ],
        [ clones  => sub { my $p = Linux::Clone::clone(sub { 9 }, 0, SIGCHLD); waitpid $p, 0; $? >> 8 }, 9 ],
    );
    for (@ends) {
        my ($name, $code, $status) = @$_;
        $! = $? = 0;
        my $pid = Linux::Clone::clone($code, 0, SIGCHLD);
        exit 99 if $$ != $parent;
        expect("clone, $name", waitpid($pid, 0) == $pid && $? >> 8, $status);

    }

    # valgrind has no such memory; perlxs's own tests have guests of which memcheck sees both sides
    my $called = 0;
    expect('shared memory', eval { Linux::Clone::clone(sub { $called++; 0 }, 0, Linux::Clone::VM | Linux::Clone::VFORK | SIGCHLD); 1 } ? 'lives' : $called, 0);
    my $pid = Linux::Clone::clone(sub { my @s = sort { exec '/bin/sh', '-c', 'exit 12' } 1, 2; 0 }, 0, SIGCHLD);
    expect('exec', waitpid($pid, 0) == $pid && $? >> 8, 12);

    my @slots = (1);
    for my $ptid ($slots[0], $slots[5], my $new) {
        my $pid = Linux::Clone::clone(\&named, 1 << 20, SIGCHLD | Linux::Clone::PARENT_SETTID, $ptid, undef, undef);
        expect('ptid', $ptid, $pid);
        waitpid $pid, 0;
    }

    my $failures = 0;
    for (
        sub { &Linux::Clone::clone() },
        sub { &Linux::Clone::clone(\&named, 0, SIGCHLD, 1 .. 9) },
        sub { Linux::Clone::clone(undef,  0, SIGCHLD) },
        sub { Linux::Clone::clone("none$round", 0, SIGCHLD) },
        sub { Linux::Clone::clone([],     0, SIGCHLD) },
        sub { Linux::Clone::clone($dying, 0, SIGCHLD) },
        sub { Linux::Clone::clone($tied,  0, SIGCHLD) },
        sub { Linux::Clone::clone(\&named, -1,      SIGCHLD) },
        sub { Linux::Clone::clone(\&named, "big",   SIGCHLD) },
        sub { Linux::Clone::clone(\&named, 9**9**9, SIGCHLD) },
        sub { Linux::Clone::clone(\&named, $dying,  SIGCHLD) },
        sub { Linux::Clone::clone(\&named, $tied,   SIGCHLD) },
        sub { Linux::Clone::clone(\&named, 0, undef) },
        sub { Linux::Clone::clone(\&named, 0, "x\x{263a}") },
        sub { Linux::Clone::clone(\&named, 0, 1e30) },
        sub { Linux::Clone::clone(\&named, 0, $dying) },
        sub { Linux::Clone::clone(\&named, 0, $tied) },
        sub { Linux::Clone::clone(\&named, 0, SIGCHLD | Linux::Clone::VM) },
        sub { Linux::Clone::clone(\&named, 0, SIGCHLD | Linux::Clone::SETTLS, undef, 1) },
        sub { Linux::Clone::clone(\&named, 0, SIGCHLD, 7) },
        sub { Linux::Clone::unshare() },
        sub { Linux::Clone::unshare(1, 2) },
        sub { Linux::Clone::unshare(undef) },
        sub { Linux::Clone::unshare("x$round") },
        sub { Linux::Clone::unshare(1e30) },
        sub { Linux::Clone::unshare($dying) },
        sub { Linux::Clone::unshare($tied) },
        )
    {
        $failures++;
        expect("failure $failures", eval { $_->(); 1 } ? 'lives' : 'dies', 'dies');
    }

    # a child that runs, but whose id cannot be stored
    expect('a dying ptid', eval { Linux::Clone::clone(\&named, 0, SIGCHLD, $tied); 1 } ? 'lives' : 'dies', 'dies');
    1 while wait != -1;

    # what the kernel refuses
    expect('unshare, refused', Linux::Clone::unshare(1 << 62), -1);
    expect('clone, refused', Linux::Clone::clone(\&named, 0, SIGCHLD | Linux::Clone::SIGHAND), -1);
    expect('a stack that is too large', Linux::Clone::clone(\&named, 1 << 62, SIGCHLD), -1);
    expect('unshare', Linux::Clone::unshare(0), 0);
}
