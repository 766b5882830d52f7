package Random::Prng;

# Random numbers that are the same on every perl: xorshift with 32 bits.

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(seed below chance pick weighted);

my $state;

sub seed {
    my ($seed) = @_;
    $state = ($seed ^ 0x9e3779b9) & 0xffffffff || 1;
    below(2) for 1 .. 32;    # seeds that are near have numbers that are not
    return;
}

# 0 to $n - 1
sub below {
    my ($n) = @_;
    $state ^= ($state << 13) & 0xffffffff;
    $state ^= $state >> 17;
    $state ^= ($state << 5) & 0xffffffff;
    return $state % $n;
}

# true so often in a hundred
sub chance { return below(100) < $_[0] }

sub pick { return $_[ below(scalar @_) ] }

# One of $what => $weight, ...
sub weighted {
    my @pairs = @_;
    my $sum = 0;
    $sum += $pairs[ 2 * $_ + 1 ] for 0 .. $#pairs / 2;
    my $n = below($sum);
    while (1) {
        my ($what, $weight) = splice @pairs, 0, 2;
        return $what if $n < $weight;
        $n -= $weight;
    }
}

1;
