# A guest in the interpreter, wherever it stops: what Call::share puts back, and what it frees.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Config;
use Test::More;
use PerlXS::Test qw(guest stop dropped);
no warnings 'recursion';

our ($global, %hash) = ('outer', key => 'outer');
my $destroyed = 0;
package Object { sub new { bless {} } sub DESTROY { $destroyed++ } }
package Tied   { sub TIESCALAR { bless [ $_[1] ] } sub FETCH { $_[0][0]->() } }
package Over   { use overload '""' => sub { $_[0][0]->() }, fallback => 1 }
package main;

my %in = (
    'a sub'     => sub { my ($code) = @_; my $object = Object->new; my @pad = (1) x 10; return $code->() },
    'eval'      => sub { my ($code) = @_; my $object = Object->new; my $value = eval { $code->() }; die $@ if $@; return $value },
    'string eval' => sub { my ($code) = @_; my $object = Object->new; my $value = eval q{ $code->() }; die $@ if $@; return $value },
    'BEGIN'     => sub { our $code = shift; our $value; my $object = Object->new; eval q{ my $x = sub { 1 }; BEGIN { $value = $code->() } 1 } or die $@; return $value },
    'sort'      => sub { my ($code) = @_; my $object = Object->new; my $value; my @sorted = sort { $value = $code->(); 0 } 1, 2; return $value },
    'map'       => sub { my ($code) = @_; my $object = Object->new; my @values = map { my $t = "x$_"; $code->() } 1; return $values[0] },
    'foreach'   => sub { my ($code) = @_; my $object = Object->new; my $value; for my $o (1) { for (1, 2) { $value = $code->() } } return $value },
    'local'     => sub { my ($code) = @_; local $global = Object->new; local $hash{key} = 'inner'; local $hash{new} = 1; local $_ = 1; return $code->() },
    'a regex'   => sub { my ($code) = @_; my $object = Object->new; my $value; 'abc' =~ /(b)(?{ $value = $code->() })c/; return $value },
    'tie'       => sub { my ($code) = @_; my $object = Object->new; tie my $tied, 'Tied', $code; my $value = $tied; return $value },
    'overloading' => sub { my ($code) = @_; my $object = Object->new; my $over = bless [$code], 'Over'; return "$over" },
    'recursion' => sub { my ($code) = @_; my $object = Object->new; my $down; $down = sub { my ($n) = @_; my $mine = [$n]; $n ? $down->($n - 1) : $code->() }; my $value = $down->(50); undef $down; return $value },
    'a guest'   => sub { my ($code) = @_; my $object = Object->new; my $status = guest($code); return $status == -1 ? stop() : $status },
);
my %ends = (
    'return' => [ sub { 5 }, 5 ],
    'exit'   => [ sub { exit 6 }, 6 ],
    'stop'   => [ sub { stop() }, -1 ],
);
sub recursive { my ($n) = @_; my @pad = ($n) x 3; return $n ? $pad[1] + recursive($n - 1) : 0 }
sub state_of { my $depth = 0; $depth++ while caller $depth; return join ' ', $depth, recursive(5), "$global $hash{key}", exists $hash{new}, $1 // 'undef', $@, $? }

for my $inner (sort keys %in) {
    for my $end (sort keys %ends) {
        my ($code, $expected) = @{ $ends{$end} };
        # recursion keeps itself alive where nobody comes to undef it
        next if $inner eq 'recursion' && $end ne 'return';
        'match' =~ /(t)/;
        ($@, $?, $destroyed) = ('error', 0, 0);
        my $drops = dropped();
        my $before = state_of();
        my $got = guest(sub { $in{$inner}->($code) });
        is $got, $expected, "$end in $inner";
        is state_of(), $before, 'all is as it was';
        is $destroyed, 1, 'what the guest held is destroyed once';
        is dropped() - $drops, $inner eq 'a guest' ? 2 : 1, 'and the Rust values dropped';
    }
}
{
    my $kept;
    is guest(sub { $kept = Object->new; stop() }), -1, 'what a guest assigns';
    $destroyed = 0;
    is ref $kept, 'Object', 'stays';
    undef $kept;
    is $destroyed, 1, 'until it goes';
    is guest(sub { guest(sub { guest(sub { stop() }); 7 }) }), 7, 'guests of guests';
    sub deep { my ($n) = @_; return $n ? deep($n - 1) : guest(sub { my @s = sort { stop() } 1, 2; 0 }) }
    is deep(200), -1, 'deep inside';
    is recursive(300), 45150, 'recursion afterwards';
    my ($output, $status) = child_perl(<<'PERL');
        package Exits { sub DESTROY { exit 9 } }
        END { print "END dropped ", PerlXS::Test::dropped(), "\n" }
        eval { PerlXS::Test::guest(sub { my $o = bless [], 'Exits'; PerlXS::Test::stop() }) };
        print "not reached\n";
PERL
    is $output, "END dropped 1\n", 'a destructor that exits meanwhile: Rust values dropped';
    is $status, 9, 'its status';
}
SKIP: {
    skip 'perl without threads', 1 if !$Config{useithreads};
    # what all threads share, among it the address of perl's signal handler
    my ($output, $status) = child_perl(<<'PERL');
        use threads;
        alarm 20;
        $_->join for map { threads->create(sub { PerlXS::Test::shares(100_000) }) } 1 .. 2;
        $SIG{USR1} = sub { print "USR1\n" };
        kill USR1 => $$;
        select undef, undef, undef, 0.1;
PERL
    is "$output$status", "USR1\n0", 'a signal handler, after threads have had guests at the same time';
}

done_testing;
