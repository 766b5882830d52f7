# The rooms of src/: no import runs from a lower room to a higher one, and there is no circle.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use AuthorTest;

# Above stand those who use what is below; within a room and between two of a line the files decide.
my @rooms = (['lib'], ['calls'], ['spawn'], ['child'], ['read'], ['sys'], [ 'flags', 'error' ]);
my %floor = map { my $n = $_; map { $_ => @rooms - $n } @{ $rooms[$n] } } 0 .. $#rooms;

my $src    = top() . '/src';
my %is     = map { $_ => 1 } grep { /\.rs$/ } files($src);
my %module = map { my $name = s{/mod\.rs$|\.rs$}{}r; ($name => $_) } keys %is;

sub room { return $_[0] =~ m{^(\w+)} ? $1 : undef }

# The longest part of a path that is a file: "spawn::steps::Plan" is of spawn/steps/mod.rs.
sub file_of {
    my (@path) = @_;
    while (@path) {
        my $file = $module{ join '/', @path };
        return $file if $file;
        pop @path;
    }
    return 'lib.rs';
}

# What `{a, b::{c, d}}` after a prefix stands for, each a path.
sub expand {
    my ($text) = @_;
    my ($prefix, $list) = $text =~ /^([\w:*]*?)(?:::)?(\{.*\})?$/s or return $text;
    return $prefix if !defined $list;
    my @parts = ('');
    my $depth = 0;
    for my $char (split //, substr $list, 1, -1) {
        $depth += $char eq '{' ? 1 : $char eq '}' ? -1 : 0;
        if   ($char eq ',' && !$depth) { push @parts, '' }
        else                           { $parts[-1] .= $char }
    }
    return map { join '::', grep { length } $prefix, $_ }
        map { expand($_) } grep { length } map { s/\s+//gr =~ s/^self$//r } @parts;
}

# All that a file names of this crate, in its `use` lines or in the middle of its code.
sub imports {
    my ($file) = @_;
    # strings may have what looks like a comment; who may see something is no import
    my $rust = slurp("$src/$file") =~ s/"(?:[^"\\\n]|\\.)*"/""/gr =~ s{//.*$}{}mgr;
    $rust =~ s/\bas \w+|(?<=\bpub)\(in [\w:]+\)//g;
    my @module = split m{/}, $file =~ s{/mod\.rs$|\.rs$}{}r;
    my @paths = map { expand(s/\s+//gr) } $rust =~ /^\s*(?:pub(?:\([^)]*\))? )?use ([^;]+);/mg;
    $rust =~ s/^\s*(?:pub(?:\([^)]*\))? )?use [^;]+;//mg;
    push @paths, $rust =~ /\b((?:crate|super)(?:::\w+)+)/g;
    my %children = map { $_ => 1 } $rust =~ /^(?:pub(?:\([^)]*\))? )?mod (\w+);/mg;
    my %seen;
    for my $path (@paths) {
        my @path = split /::/, $path;
        my @base = @module;
        if    ($path[0] eq 'crate') { shift @path; @base = () }
        elsif ($path[0] eq 'super') { while (@path && $path[0] eq 'super') { shift @path; pop @base } }
        elsif ($path[0] eq 'self')  { shift @path }
        elsif (!$children{ $path[0] }) { next }
        elsif ($file eq 'lib.rs')      { @base = () }
        my $to = file_of(@base, @path);
        $seen{$to} = 1 if $to ne $file;
    }
    return sort keys %seen;
}

my %imports = map { $_ => [ imports($_) ] } keys %is;
cmp_ok scalar(map { @$_ } values %imports), '>', 80, 'the imports are found';

is_deeply [ grep { !exists $floor{$_} } map { room($_) } sort keys %is ], [], 'each file is in a room that has its place here';
for my $file (sort keys %is) {
    my $own = $floor{ room($file) };
    my @up  = grep { room($_) ne room($file) && $floor{ room($_) } >= $own } @{ $imports{$file} };
    is_deeply \@up, [], "$file uses only what is below";
}

# Within a room: what mod.rs collects may use what that has for all of them; else no circle.
my %collects = map { $_ => 1 } qw(calls/mod.rs spawn/steps/mod.rs sys/mod.rs);
my (%state, @circles);
sub visit {
    my ($file, @way) = @_;
    return if ($state{$file} || '') eq 'done';
    if (($state{$file} || '') eq 'open') {
        push @circles, join ' -> ', @way, $file;
        return;
    }
    $state{$file} = 'open';
    my ($own) = $file =~ m{^(?:(.*)/)?};
    for my $to (@{ $imports{$file} }) {
        next if $collects{$to} && $to eq ($own // '') . '/mod.rs';
        visit($to, @way, $file);
    }
    $state{$file} = 'done';
    return;
}
visit($_) for sort keys %is;
is_deeply \@circles, [], 'there is no circle';

done_testing;
