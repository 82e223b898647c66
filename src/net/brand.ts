declare const brand: unique symbol;

/** A value that only its parser can make: text from outside never has this type by itself. */
export type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };
