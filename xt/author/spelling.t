# Spelling, by aspell's dictionary and xt/author/words.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use AuthorTest;
use File::Temp ();
use Pod::Spell ();

my $top = top();
my @own = grep { !/^#/ } split /\n/, slurp("$FindBin::Bin/words");
is_deeply \@own, [ sort @own ], 'xt/author/words is sorted';
my %own = map { $_ => 1 } @own;

# What is English in a plain or a marked text: no code, no file names, no addresses.
sub prose {
    my ($text) = @_;
    $text =~ s/^```.*?^```//gms;
    $text =~ s/^(?: {4,}|\t).*//gm;
    $text =~ s/`[^`]*`//g;
    $text =~ s{\S*[/_.:=<>\$\\|]\w\S*}{}g;
    return $text;
}

sub pod {
    my ($file) = @_;
    my $text = '';
    open my $in,  '<:encoding(UTF-8)', $file  or die "$file: $!";
    open my $out, '>:encoding(UTF-8)', \$text or die $!;
    Pod::Spell->new(no_wide_chars => 1)->parse_from_filehandle($in, $out);
    close $out;
    return $text;
}

# The comments of Rust and C.
sub comments {
    my ($text) = @_;
    return prose(join "\n", grep { defined } $text =~ m{^\s*//[/!]?(?: (.*))?$}mg, $text =~ m{/\*(.*?)\*/}sg);
}

my $dir = File::Temp::tempdir(CLEANUP => 1);
for my $file (tracked()) {
    my $path = "$top/$file";
    my $text = $file =~ /\.(?:pm|pod)$/ && slurp($path) =~ /^=head1 NAME$/m ? pod($path)
        : $file =~ /(?:^|\/)README$|\.md$|^Changes$/ ? prose(slurp($path))
        : $file =~ /\.(?:rs|c|h)$/ ? comments(slurp($path))
        : next;
    spew("$dir/text", $text);
    # names of constants and of system calls' errors are in capitals, and many
    my %unknown;
    my $found = runs("$file: aspell", $dir, 'sh', '-c', 'aspell --lang=en --encoding=utf-8 --ignore-case list <text');
    for my $word (grep { !/^[A-Z]+(?:'?s)?$/ } split /\n/, $found) {
        my $lower = lc $word =~ s/'s$//r;
        $unknown{$word}++ if !$own{$lower};
    }
    is join(' ', sort keys %unknown), '', 'knows all words';
}

done_testing;
