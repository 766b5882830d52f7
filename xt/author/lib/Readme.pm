package Readme;

# README is README.md as plain text, which `perl -Ixt/author/lib -MReadme -e Readme::write` makes.

use strict;
use warnings;

use AuthorTest qw(top slurp spew);
use Text::Wrap ();

# Plain text of 80 columns: headings in capitals, no marks, pictures by their text.
sub plain {
    my ($markdown) = @_;
    local $Text::Wrap::columns  = 80;
    local $Text::Wrap::huge     = 'overflow';
    local $Text::Wrap::unexpand = 0;
    my @blocks;
    for my $block (split /\n{2,}/, $markdown) {
        if ($block =~ /^    /) { push @blocks, $block }
        elsif ($block =~ s/^# //)  { push @blocks, $block }
        elsif ($block =~ s/^## //) { push @blocks, "\n" . uc $block }
        elsif ($block =~ /^!\[(.*)\]\((.*)\)$/) { push @blocks, Text::Wrap::wrap('', '', "$1: $2") }
        else {
            my @lines = $block =~ /^- / ? split(/\n/, $block) : $block =~ s/\n/ /gr;
            push @blocks, join "\n", map { Text::Wrap::wrap('', /^- / ? '  ' : '', s/`([^`]*)`/$1/gr) } @lines;
        }
    }
    return join("\n\n", @blocks) =~ s/\n*\z/\n/r;
}

sub write {
    return spew(top() . '/README', plain(slurp(top() . '/README.md')));
}

1;
