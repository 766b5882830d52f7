# perl's threads: what Rust holds while one is made, what the new one gets of it, and that all of it
# is dropped once.
use strict;
use warnings;
use Config;

BEGIN {
    if (!$Config{useithreads}) {
        print "1..0 # SKIP this perl has no ithreads\n";
        exit 0;
    }
}
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use PerlXS::Test;

# Runs the program with threads: its output and status.
sub run {
    my ($program) = @_;
    my ($output, $status) = child_perl(<<'HEAD' . $program);
        use strict; use warnings; no warnings 'threads'; use threads; $| = 1;
        BEGIN { PerlXS::Test->import(qw(call call_list catch late method array hash elements entries coderef copy set ask deref reference give new_array new_hash nested dropped guest)) }
        alarm 60;
        our $made = 0;
        # a new thread, which uses the extension itself, while Rust waits
        sub thread { $made++; return threads->create({ context => 'list' }, @_)->join }
        sub busy { return thread(sub { my $sum = 0; $sum += call(sub { $_[0] }, $_) for 1 .. 10; my @all = elements([ 1 .. 5 ]); return $sum . @all }) }
        package Tied { sub TIEARRAY { bless [] } sub FETCHSIZE { 3 } sub FETCH { main::busy() } sub STORE { main::busy() } sub EXTEND { } sub CLEAR { }
            sub TIEHASH { bless [] } sub EXISTS { main::busy() } sub FIRSTKEY { main::busy(); 'a' } sub NEXTKEY { $_[1] eq 'a' ? 'b' : undef } }
        package TiedScalar { sub TIESCALAR { bless [] } sub FETCH { main::busy() } sub STORE { main::busy() } }
        package Over { use overload '""' => sub { main::busy() }, '0+' => sub { main::busy() }, 'bool' => sub { main::busy() }, '&{}' => sub { my @x = main::busy(); sub { "@x" } }, '@{}' => sub { main::busy(); [ 7, 8 ] } }
        package Object { sub new { bless {} } sub DESTROY { } sub get { main::busy(); "$_[1]" } sub list { main::busy(); @_[ 1, 2 ] } }
        package main;
HEAD
    return "$output\[$status]";
}

# each: what is held, and what it must come to
my @held = (
    [ 'Code and Scalars', '555', q{call(sub { busy(); $_[0] }, 555)} ],
    [ 'Code, as it dies', 'no', q{catch(sub { busy(); die 'no' . "\n" }) =~ s/\n//r} ],
    [ 'an argument beside', 'x', q{late(sub { busy() }, 'x')} ],
    [ 'a list', '1 2 555', q{join ' ', call_list(sub { (1, 2, busy() && 555) })} ],
    [ 'an invocant', '5', q{method(Object->new, 'get', 5)} ],
    [ 'an invocant and a list', '5 6', q{join ' ', method(Object->new, 'list', 5, 6)} ],
    [ 'an Array, tied', '555 555 555', q{tie my @tied, 'Tied'; join ' ', array(\@tied, 0, 'elements')} ],
    [ 'an Array, tied, one element', '555', q{tie my @tied, 'Tied'; array(\@tied, 1, 'get')} ],
    [ 'an Array, tied, assigned to', 1, q{tie my @tied, 'Tied'; array(\@tied, 1, 'set', 4); 1} ],
    [ 'the elements of a tied array', '555 555 555', q{tie my @tied, 'Tied'; join ' ', elements(\@tied)} ],
    [ 'a Hash, tied', 'a 555 b 555', q{tie my %tied, 'Tied'; join ' ', hash(\%tied, '', 'entries')} ],
    [ 'a Hash, tied, asked', 1, q{tie my %tied, 'Tied'; hash(\%tied, 'a', 'contains')} ],
    [ 'a Hash, tied, assigned to', 1, q{tie my %tied, 'Tied'; hash(\%tied, 'a', 'set', 2); 1} ],
    [ 'a Scalar, tied', '555', q{tie my $tied, 'TiedScalar'; PerlXS::Test::text($tied)} ],
    [ 'a Scalar, tied, assigned to', 1, q{tie my $tied, 'TiedScalar'; set($tied, 3); 1} ],
    [ 'a Scalar, overloaded', 'int 555', q{PerlXS::Test::number(bless [], 'Over')} ],
    [ 'Code, overloaded', '555', q{call(bless [], 'Over')} ],
    [ 'an Array, overloaded', '7 8', q{join ' ', array(bless({}, 'Over'), 0, 'elements')} ],
    [ 'an Object and its value', 1, q{PerlXS::Test::Counter->new->with(sub { busy() })} ],
    [ 'an Object that goes meanwhile', 1, q{my $o = PerlXS::Test::Counter->new; $o->with(sub { undef $o; busy() })} ],
    [ 'calls within calls', '3', q{call(sub { call(sub { call(sub { busy(); 3 }) }) })} ],
    [ 'a thread of a thread', '4', q{call(sub { (thread(sub { call(sub { busy(); 4 }) }))[0] })} ],
    [ 'a thread that exits', '4', q{call(sub { threads->create(sub { call(sub { threads->exit }) })->join; 4 })} ],
    [ 'a thread that dies in Rust', '4', q{call(sub { threads->create(sub { call(sub { die 'x' . "\n" }) })->join; 4 })} ],
    [ 'a thread that is detached', '4', q{call(sub { threads->create(sub { call(sub { threads->detach; 1 }) }); 1 while threads->list(threads::all) || (() = glob '/proc/self/task/*') > 1; 4 })} ],
);
my $program = '';
for my $held (@held) {
    my (undef, undef, $code) = @$held;
    $program .= <<"PERL";
        {
            my \$drops = dropped();
            my \$got = sub { $code }->();
            my \$first = dropped() - \$drops;
            \$drops = dropped();
            my \$again = sub { $code }->();
            print "\$got ", \$first == dropped() - \$drops ? 'again ' : 'leaks ', \$first > 0 ? 'dropped' : 'kept', "\\n";
        }
PERL
}
my @seen = split /\n/, run($program);
for my $n (0 .. $#held) {
    my ($what, $expected, $code) = @{ $held[$n] };
    is $seen[$n], "$expected again dropped", "$what: held while a thread is made";
}
is $seen[@held], '[0]', 'no crash';
diag $_ for @seen[ @held + 1 .. $#seen ];

is run(<<'PERL'), "as here\n1 1 1\n[0]", 'functions and constants in a new thread';
    my @names = sort grep { defined &{ $PerlXS::Test::{$_} } } grep { ref \$PerlXS::Test::{$_} eq 'GLOB' } keys %PerlXS::Test::;
    my $values = sub { return join ' ', @names, PerlXS::Test::SEVEN(), PerlXS::Test::HIGHEST(), PerlXS::Test::LEAST(), PerlXS::Test::EURO() eq "\x{20ac}", PerlXS::Test::NOTHING() // 'undef', "@{ PerlXS::Test::PRIMES() }" };
    print +(thread($values))[0] eq $values->() ? "as here\n" : "not as here\n";
    # a reference that a constant holds is copied: what one thread changes, another does not see
    thread(sub { push @{ PerlXS::Test::PRIMES() }, 7; return });
    my $call = \&call;
    print scalar(@{ PerlXS::Test::PRIMES() }) == 3 ? 1 : 0, ' ', thread(sub { $call->(sub { 1 }) }), ' ', thread(sub { call(coderef(sub { 1 })) }), "\n";
PERL

is run(<<'PERL'), "1 2 3 0\n4 5\n6\n[0]", 'objects of threads that end, by whoever frees them';
    # a global, a cycle, an object kept by a closure that is kept by a package
    threads->create(sub { our $global = PerlXS::Test::Counter->new; return })->join;
    print dropped();
    threads->create(sub { my $o = PerlXS::Test::Counter->new; $o->{self} = $o; threads->exit })->join;
    print ' ', dropped();
    threads->create(sub { my $o = PerlXS::Test::Counter->new; our $code = sub { $o }; die "x\n" })->join;
    print ' ', dropped();
    my $o = PerlXS::Test::Counter->new;
    threads->create(sub { my $copy = $o; undef $o; return })->join;
    print ' ', dropped() - 3, "\n";
    # detached: it frees itself; not joined: it is freed with the threads object
    threads->create(sub { our $o = PerlXS::Test::Counter->new; return })->detach;
    my $end = time + 20;
    1 while dropped() < 4 && time < $end;
    print dropped();
    undef $o;
    print ' ', dropped(), "\n";
    threads->create(sub { our $o = PerlXS::Test::Counter->new; our $c = sub { our $o }; $o->{code} = $c; return $o })->join;
    print dropped(), "\n";
PERL

is run(<<'PERL'), "4 times 800\n[0]", 'four threads with callbacks, objects and exceptions at once';
    # the extension knows one guest at a time
    my @threads = map {
        my $guest = $_ == 1 ? sub { guest(sub { 3 }) } : sub { 3 };
        threads->create(sub {
            my $sum = 0;
            for my $n (1 .. 200) {
                my $o = PerlXS::Test::Counter->new;
                $sum += call(sub { $o->add(1) });
                $sum++ if catch(sub { die "x\n" }) eq "x\n";
                $sum += $o->with(sub { eval { call(sub { die "y\n" }) }; $o->{a} = nested() }) - 1;
                $sum++ if $guest->() == 3;
            }
            return $sum;
        });
    } 1 .. 4;
    my @sums = map { $_->join } @threads;
    my %sums = map { $_ => 1 } @sums;
    print scalar(@sums), ' times ', join(' ', keys %sums), "\n";
PERL

# the extension in threads only, several at once, and again
{
    my ($output, $status) = run_perl('-e', <<'PERL');
        use threads; alarm 60;
        for my $round (1 .. 3) {
            print join(' ', map { $_->join } map { threads->create(sub { require PerlXS::Test; PerlXS::Test::call(sub { $_[0] + PerlXS::Test::SEVEN() }, $_[0]) }, $_) } 1 .. 4), "\n";
        }
        print defined &PerlXS::Test::call ? 'here' : 'not here', "\n";
        require PerlXS::Test;
        print PerlXS::Test::call(sub { 1 }), "\n";
PERL
    is "$output$status", "8 9 10 11\n" x 3 . "not here\n1\n0", 'loaded by threads that are gone, several at once, and by the main thread later';
}

done_testing;
