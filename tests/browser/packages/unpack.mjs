// Chromium is packed for a machine of a cloud; unpack it, its libraries and its fonts, beside this file.
import { inflate } from "@sparticuz/chromium";

process.env.TMPDIR = import.meta.dirname;
for (const part of ["chromium.br", "al2023.tar.br", "fonts.tar.br", "swiftshader.tar.br"]) {
  await inflate(`${import.meta.dirname}/node_modules/@sparticuz/chromium/bin/${part}`);
}
