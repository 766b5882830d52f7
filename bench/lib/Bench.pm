package Bench;

# What the benchmarks share: a clock, medians, and how a goal is printed.

use strict;
use warnings;

use Exporter 'import';
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

our @EXPORT_OK = qw(alternate goal paired percentile median verdict);

# Times each of @$codes $runs times, in seconds: all of them once, then all of them once more,
# and so on, so that what the machine does meanwhile befalls all alike. The order is rotated from
# round to round. Each timed call follows an untimed one of the same code: what a call leaves
# behind (a fork leaves the parent's pages write-protected, an exec cold caches) is then its own
# cost and not that of the code that comes next. With $pause, in seconds, that much time passes
# before the untimed call: the kernel frees the page tables of a large process's child in the
# background, for some milliseconds after its end. $clock is the real time if it is not given.
#
# Returns a reference to a list of times for each code, in the order of @$codes.
sub alternate {
    my ($runs, $codes, $pause, $clock) = @_;
    $clock //= CLOCK_MONOTONIC;
    my @times = map { [] } @$codes;
    for my $run (0 .. $runs - 1) {
        for my $turn (0 .. $#$codes) {
            my $i    = ($run + $turn) % @$codes;
            my $code = $codes->[$i];
            select undef, undef, undef, $pause if $pause;
            $code->();
            my $start = clock_gettime($clock);
            $code->();
            my $end = clock_gettime($clock);
            push @{ $times[$i] }, $end - $start;
        }
    }
    return @times;
}

# The value below which $percent of @$values lie, without interpolation.
sub percentile {
    my ($percent, $values) = @_;
    my @sorted = sort { $a <=> $b } @$values;
    return $sorted[ int($percent / 100 * $#sorted + 0.5) ];
}

sub median {
    my ($values) = @_;
    return percentile(50, $values);
}

# The ratio within each round, and the bounds between which the median of these ratios lies with a
# probability of 95 % (by rank; no distribution is assumed). Drift hits both times of a round, so
# this tells a small difference where the ratio of the medians does not.
sub paired {
    my ($times, $base) = @_;
    my $n      = @$times;
    my @ratios = sort { $a <=> $b } map { $times->[$_] / $base->[$_] } 0 .. $n - 1;
    my $reach  = 1.96 * sqrt($n) / 2;
    my $low    = int($n / 2 - $reach);
    my $high   = int($n / 2 + $reach + 0.5);
    return @ratios[ $low < 0 ? 0 : $low, $high > $#ratios ? $#ratios : $high ];
}

# What a goal's line says at its end. An undefined value could not be measured.
sub verdict {
    my ($value, $limit) = @_;
    return !defined $value ? 'not available' : $value <= $limit ? 'met' : 'NOT MET';
}

# Prints one line: what is measured, its value, the goal (at most $limit), and whether it is met.
sub goal {
    my ($what, $value, $limit, $unit) = @_;
    $unit //= '';
    printf "  %-58s %9s  goal %7s  %s\n", $what,
        defined $value ? sprintf('%.4g%s', $value, $unit) : '-', "$limit$unit", verdict($value, $limit);
    return;
}

1;
